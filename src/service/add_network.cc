// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <array>

#include "resources/network.h"
#include "service/addition.h"
#include "service/methods.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using resources::LinkMode;
using varlink::Kind;
using varlink::Presence;

constexpr std::string_view kNetworkNamespaceField = "networkNamespaceFileDescriptor";
constexpr std::string_view kInterfaceNameField = "namespaceInterfaceName";
constexpr std::array<varlink::Field, 4> kFields{{
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
    {kNetworkNamespaceField, Kind::kInt, Presence::kOptional, varlink::kUint32Bounds},
    {kInterfaceNameField, Kind::kString, Presence::kOptional},
    {"mode", Kind::kString},
}};

constexpr size_t kMaxNetworkInterfaces = 16;

/// What is asked for, once it has been found to make sense.
struct NetworkRequest {
    LinkMode mode = LinkMode::kVeth;
    std::optional<resources::NetworkNamespace> network;
    std::optional<std::string> interface_name;
};

OrFault<std::optional<resources::NetworkNamespace>> take_network(varlink::Call& call,
                                                                 const namespaces::UserNamespace& userns) {
    if (!call.parameters.has(kNetworkNamespaceField)) return std::nullopt;
    auto network = resources::NetworkNamespace::from_descriptor(std::move(*TRY(find_fd(call, kNetworkNamespaceField))));
    // One of a namespace further down is not this one's to be given links.
    if (!network || network->owner() != userns.identity()) return refuse_parameter(kNetworkNamespaceField);
    return std::optional(std::move(*network));
}

OrFault<NetworkRequest> read_request(varlink::Call& call, const namespaces::UserNamespace& userns) {
    NetworkRequest request;
    request.network = TRY(take_network(call, userns));
    if (auto name = call.parameters.string(kInterfaceNameField)) {
        if (!resources::is_valid_interface_name(*name)) return refuse_parameter(kInterfaceNameField);
        request.interface_name = std::string(*name);
    }
    std::string_view mode = *call.parameters.string("mode");
    if (mode != "veth" && mode != "tap") return refuse_parameter("mode");
    request.mode = mode == "tap" ? LinkMode::kTap : LinkMode::kVeth;
    if (request.network.has_value() == (request.mode == LinkMode::kTap))
        return refuse_parameter(kNetworkNamespaceField);
    if (request.mode == LinkMode::kTap && request.interface_name) return refuse_parameter(kInterfaceNameField);
    return request;
}

/// The link, made: the descriptor is a tap's.
OrFault<UniqueFd> make_link(const NetworkRequest& request, const registry::Registration& registration,
                            const resources::LinkPurpose& purpose, const std::string& host_name) {
    resources::LinkSide host{host_name, resources::host_mac_address(host_name)};
    std::string alternative = resources::alternative_name(purpose);
    if (request.mode == LinkMode::kTap) {
        Uid owner = registration.range ? registration.range->start : registration.owner;
        return TRY_SYSTEM(resources::create_tap(host, alternative, owner));
    }
    resources::LinkSide inside{request.interface_name.value_or(std::string(resources::kDefaultInterfaceName)),
                               resources::inside_mac_address(purpose)};
    TRY_SYSTEM(resources::create_veth(*request.network, host, alternative, inside));
    return UniqueFd();
}

varlink::Reply make_reply(const NetworkRequest& request, const std::string& host_name, UniqueFd tap) {
    varlink::Reply reply;
    reply.parameters["hostInterfaceName"] = host_name;
    if (request.mode == LinkMode::kVeth) {
        reply.parameters["namespaceInterfaceName"] =
            request.interface_name.value_or(std::string(resources::kDefaultInterfaceName));
    } else {
        reply.parameters["interfaceFileDescriptor"] = 0;
        reply.fds.push_back(std::move(tap));
    }
    return reply;
}

OrFault<lifecycle::Transaction> begin(Context& context, const registry::Registration& registration,
                                      const std::string& host_name) {
    auto added = lifecycle::without_resources(registration);
    added.network_interfaces = {host_name};
    auto judge = [&](const registry::Registration& current, size_t begun) -> OrFault<void> {
        // The name is made from what is asked for: the same was asked before, but the link may be gone since.
        const auto& names = current.network_interfaces;
        if (std::ranges::find(names, host_name) != names.end()) {
            if (TRY_SYSTEM(resources::link_presence(host_name)) == resources::LinkPresence::kNone) return {};
            return Refusal(varlink::system_error(EEXIST));
        }
        if (names.size() + begun >= kMaxNetworkInterfaces) return refuse("TooManyNetworkInterfaces");
        return {};
    };
    return begin_addition(context, lifecycle::Step::kLinking, added, judge);
}

Status undo_link(const std::string& host_name, const registry::Registration& registration) {
    TRY(resources::remove_link(host_name, registration.owner, registration.name));
    return {};
}

OrFault<varlink::Reply> add(Context& context, varlink::Call& call) {
    auto userns = TRY(take_user_namespace(context, call));
    NetworkRequest request = TRY(read_request(call, userns));
    auto registration = TRY(require_registration(context, userns));
    TRY(require_owner(registration, call.peer));
    TRY(require_authority(context, call, authority::kDelegateNetworkInterface, "type",
                          std::string(*call.parameters.string("mode"))));

    resources::LinkPurpose purpose{request.mode, registration.owner, registration.name, {}};
    if (request.interface_name) purpose.interface_name = *request.interface_name;
    std::string host_name = resources::host_interface_name(purpose);
    auto transaction = TRY(begin(context, registration, host_name));
    transaction.undo_with([&] { return undo_link(host_name, registration); });
    auto link = TRY(make_link(request, registration, purpose, host_name));
    TRY_SYSTEM(transaction.commit());
    return make_reply(request, host_name, std::move(link));
}

}  // namespace

std::span<const varlink::Field> add_network_fields() { return kFields; }

varlink::Outcome add_network(Context& context, varlink::Call& call) {
    auto reply = add(context, call);
    if (!reply) return std::move(reply).error();
    return std::move(*reply);
}

}  // namespace nsr::service
