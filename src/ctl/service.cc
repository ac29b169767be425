// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/service.h"

#include <array>
#include <cstring>
#include <optional>

namespace nsr::ctl {

namespace {

constexpr uint64_t kConnectTimeoutUsec = 10'000'000;

struct Meaning {
    std::string_view error, sentence;
};

constexpr std::array kMeanings{
    Meaning{"io.systemd.NamespaceResource.UserNamespaceInterfaceNotSupported",
            "the service hands out no ranges on this system; \"nsresourcectl status\" says why"},
    Meaning{"io.systemd.NamespaceResource.NameExists", "the name is taken; choose another one with --name="},
    Meaning{"io.systemd.NamespaceResource.UserNamespaceExists", "the user namespace is registered already"},
    Meaning{"io.systemd.NamespaceResource.DynamicRangeUnavailable",
            "the user namespace that this runs in maps too few of the ids that the service hands out"},
    Meaning{"io.systemd.NamespaceResource.NoDynamicRange",
            "no free range of this size is left; \"nsresourcectl list\" shows who has them"},
    Meaning{"org.varlink.service.PermissionDenied",
            "permission was denied by the policy of this system (polkit); ask its administrator"},
    Meaning{"org.varlink.service.MethodNotFound", "the service does not know the method; it may be too old"},
    Meaning{"org.varlink.service.InterfaceNotFound", "what answers at the socket is another service; see --socket="},
    Meaning{"io.systemd.TimedOut", "the service gave up waiting; try again"},
};

std::string explain_parameter(const varlink::json::object& parameters) {
    const auto* parameter = parameters.if_contains("parameter");
    if (parameter == nullptr || !parameter->is_string()) return "the service did not accept the request";
    std::string_view name = parameter->get_string();
    if (name == "name")
        return "the name is not fit: it may have letters, digits, \"-\" and \"_\", and 22 characters in all, of which "
               "your "
               "uid and a \"-\" are the first unless you are root; choose another one with --name=";
    return fmt::format("the service did not accept the parameter {}", name);
}

std::string explain_system(const varlink::json::object& parameters) {
    const auto* number = parameters.if_contains("errno");
    if (number == nullptr || !number->is_int64()) return "the service failed; its log says why";
    const int64_t code = number->get_int64();
    if (code == EUSERS) return "you have as many namespaces as one user may have; end some of them first";
    if (code <= 0 || code > 4095) return fmt::format("the service failed with the unknown error {}", code);
    return fmt::format("the service failed: {}; its log may say more", strerror(static_cast<int>(code)));
}

}  // namespace

Result<varlink::Client> connect(const Setting& setting) {
    auto client = varlink::Client::connect(setting.socket, kConnectTimeoutUsec);
    if (client) return client;
    const int code = client.error().code();
    if (code == ENOENT || code == ECONNREFUSED)
        return fail(code, "no service is listening on {}; start nsresourced, or name its socket with --socket=",
                    setting.socket);
    return Failure(std::move(client).error());
}

std::string explain(const varlink::CallResult& refusal) {
    if (refusal.error == "org.varlink.service.InvalidParameter") return explain_parameter(refusal.parameters);
    if (refusal.error == "io.systemd.System") return explain_system(refusal.parameters);
    for (const auto& meaning : kMeanings)
        if (meaning.error == refusal.error) return std::string(meaning.sentence);
    return fmt::format("the service refused: {}", refusal.error);
}

}  // namespace nsr::ctl
