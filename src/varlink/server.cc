// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/server.h"

#include <cstdlib>
#include <utility>

#include "varlink/descriptions.h"

namespace nsr::varlink {

namespace {

constexpr std::string_view kService = "org.varlink.service";
constexpr std::string_view kSystem = "io.systemd";
constexpr Field kDescriptionFields[] = {{.name = "interface"}};

Fault fault(std::string_view error, std::string_view parameter, std::string_view value) {
    return {std::string(error),
            {{json::string_view(parameter.data(), parameter.size()), json::string_view(value.data(), value.size())}}};
}

}  // namespace

Fault invalid_parameter(std::string_view name) {
    return fault("org.varlink.service.InvalidParameter", "parameter", name);
}

Fault permission_denied() { return {"org.varlink.service.PermissionDenied", {}}; }

Fault system_error(int code) {
    return {"io.systemd.System", {{"origin", "linux"}, {"errno", code}, {"errnoName", errno_name(code)}}};
}

Server::Server(Info info) : info_(std::move(info)) {
    add_interface(kService, description(kService));
    add_interface(kSystem, description(kSystem));
    add_method("org.varlink.service.GetInfo", {}, [this](Call&) { return get_info(); });
    add_method("org.varlink.service.GetInterfaceDescription", kDescriptionFields, [this](Call& call) {
        return get_interface_description(call.parameters.string("interface").value_or(""));
    });
}

void Server::add_interface(std::string_view name, std::string_view text, Gate gate) {
    interfaces_.insert_or_assign(std::string(name), Interface{text, std::move(gate)});
}

void Server::add_method(std::string_view full_name, std::span<const Field> fields, Handler handler) {
    auto interface = interfaces_.find(full_name.substr(0, full_name.rfind('.')));
    if (interface == interfaces_.end()) std::abort();  // a mistake in the program, seen at its first start
    methods_.insert_or_assign(std::string(full_name), Method{&interface->second, fields, std::move(handler)});
}

std::optional<Outcome> Server::dispatch(Request&& request, const Peer& peer) const {
    bool oneway = request.mode == Request::Mode::kOneway;
    Outcome outcome = answer(std::move(request), request.fds, peer);
    if (oneway) return {};
    return outcome;
}

Outcome Server::answer(Request&& request, std::vector<UniqueFd>& fds, const Peer& peer) const {
    auto found = methods_.find(request.method);
    if (found == methods_.end()) return not_found(request.method);
    const Method& method = found->second;
    Parameters parameters(method.fields, std::move(request.parameters), std::move(request.duplicate_parameter));
    if (auto culprit = parameters.find_malformed()) return invalid_parameter(*culprit);
    if (method.interface->gate) {
        if (std::optional<Fault> refusal = method.interface->gate()) return *std::move(refusal);
    }
    if (auto culprit = parameters.find_out_of_bounds()) return invalid_parameter(*culprit);
    Call call{parameters, fds, peer};
    return method.handler(call);
}

Outcome Server::not_found(const std::string& method) const {
    size_t dot = method.rfind('.');
    std::string_view interface = std::string_view(method).substr(0, dot);
    if (dot == std::string::npos || !interfaces_.contains(interface))
        return fault("org.varlink.service.InterfaceNotFound", "interface", interface);
    return fault("org.varlink.service.MethodNotFound", "method", method);
}

Outcome Server::get_info() const {
    json::array names;
    for (const auto& [name, interface] : interfaces_) names.emplace_back(name);
    Reply reply;
    reply.parameters = {{"vendor", info_.vendor},
                        {"product", info_.product},
                        {"version", info_.version},
                        {"url", info_.url},
                        {"interfaces", std::move(names)}};
    return reply;
}

Outcome Server::get_interface_description(std::string_view interface) const {
    auto found = interfaces_.find(interface);
    if (found == interfaces_.end()) return fault("org.varlink.service.InterfaceNotFound", "interface", interface);
    std::string_view text = found->second.description;
    Reply reply;
    reply.parameters = {{"description", json::string_view(text.data(), text.size())}};
    return reply;
}

}  // namespace nsr::varlink
