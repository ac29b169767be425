// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/service.h"

#include <array>
#include <cstring>
#include <optional>

namespace nsr::ctl {

namespace {

constexpr uint64_t kConnectTimeoutUsec = 10'000'000;
constexpr uint64_t kCallTimeoutUsec = 180'000'000;
constexpr std::string_view kInterface = "io.systemd.NamespaceResource.";

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
    Meaning{"io.systemd.NamespaceResource.UserNamespaceNotRegistered", "the user namespace is not registered"},
    Meaning{"io.systemd.NamespaceResource.UserNamespaceWithoutUserRange",
            "the user namespace has no ids of its own that could own the cgroup"},
    Meaning{"io.systemd.NamespaceResource.TooManyControlGroups",
            "the user namespace has as many cgroups as it may have"},
    Meaning{"io.systemd.NamespaceResource.ControlGroupAlreadyAdded", "the user namespace has this cgroup already"},
    Meaning{"io.systemd.NamespaceResource.TooManyNetworkInterfaces",
            "the user namespace has as many network interfaces as it may have"},
    Meaning{"io.systemd.NamespaceResource.TooManyDelegations",
            "a namespace can have no more than 16 delegated ranges; ask for fewer with --delegate="},
    Meaning{"org.varlink.service.PermissionDenied",
            "permission was denied: what is asked for is not yours, or the policy of this system (polkit) forbids it; "
            "ask its administrator"},
    Meaning{"org.varlink.service.MethodNotFound", "the service does not know the method; it may be too old"},
    Meaning{"org.varlink.service.InterfaceNotFound", "what answers at the socket is another service; see --socket="},
    Meaning{"io.systemd.TimedOut", "the service gave up waiting; try again"},
};

constexpr std::array kParameters{
    Meaning{
        "name",
        "the name is not fit: it may have letters, digits, \"-\" and \"_\", and 22 characters in all, of which your "
        "uid and a \"-\" are the first unless you are root; choose another one with --name="},
    Meaning{"target",
            "the ids do not fit there: with all of them they must end below 4294967295, and not meet a "
            "delegated range; choose another --target="},
    Meaning{"delegateContainerRanges",
            "a namespace can have no more than 16 delegated ranges; ask for fewer with --delegate="},
    Meaning{"mapForeign", "the user namespace that this runs in does not map the foreign ids; leave out --map-foreign"},
    Meaning{"userNamespaceFileDescriptor",
            "the user namespace is not fit: it must be yours, and have the same map for users and groups, which begins "
            "with your own id, at 0 inside unless it is the only one"},
    Meaning{"controlGroupFileDescriptor",
            "it is no directory of cgroup version 2, or the root of them; name another one with --control-group="},
};

std::string explain_parameter(const varlink::json::object& parameters) {
    const auto* parameter = parameters.if_contains("parameter");
    if (parameter == nullptr || !parameter->is_string()) return "the service did not accept the request";
    const std::string_view name = parameter->get_string();
    for (const auto& meaning : kParameters)
        if (meaning.error == name) return std::string(meaning.sentence);
    return fmt::format("the service did not accept the parameter {}", name);
}

std::string explain_system(const varlink::json::object& parameters) {
    const auto* number = parameters.if_contains("errno");
    if (number == nullptr || !number->is_int64()) return "the service failed; its log says why";
    const int64_t code = number->get_int64();
    if (code == EUSERS) return "you have as many namespaces as one user may have; end some of them first";
    if (code == ESRCH) return "the user namespace that this runs in does not map those ids one to one";
    if (code == EEXIST) return "an interface of that name is there already";
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

Result<varlink::CallResult> ask(varlink::Client& client, std::string_view method, varlink::json::object parameters,
                                std::span<const UniqueFd> fds) {
    return client.call(fmt::format("{}{}", kInterface, method), std::move(parameters), fds, kCallTimeoutUsec);
}

Result<varlink::CallResult> call(varlink::Client& client, std::string_view method, varlink::json::object parameters,
                                 std::span<const UniqueFd> fds) {
    auto answer = TRY(ask(client, method, std::move(parameters), fds));
    if (!answer.error.empty()) return fail(EPERM, "{}", explain(answer));
    return answer;
}

Result<std::string> string_in(const varlink::CallResult& answer, std::string_view field) {
    const auto* value = answer.parameters.if_contains(field);
    if (value == nullptr || !value->is_string()) return fail(EPROTO, "the answer of the service has no {}", field);
    return std::string(std::string_view(value->get_string()));
}

std::string explain(const varlink::CallResult& refusal) {
    if (refusal.error == "org.varlink.service.InvalidParameter") return explain_parameter(refusal.parameters);
    if (refusal.error == "io.systemd.System") return explain_system(refusal.parameters);
    for (const auto& meaning : kMeanings)
        if (meaning.error == refusal.error) return std::string(meaning.sentence);
    return fmt::format("the service refused: {}", refusal.error);
}

}  // namespace nsr::ctl
