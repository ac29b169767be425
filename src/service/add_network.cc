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
struct Wish {
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

OrFault<Wish> read_wish(varlink::Call& call, const namespaces::UserNamespace& userns) {
    Wish wish;
    wish.network = TRY(take_network(call, userns));
    if (auto name = call.parameters.string(kInterfaceNameField)) {
        if (!resources::is_valid_interface_name(*name)) return refuse_parameter(kInterfaceNameField);
        wish.interface_name = std::string(*name);
    }
    std::string_view mode = *call.parameters.string("mode");
    if (mode != "veth" && mode != "tap") return refuse_parameter("mode");
    wish.mode = mode == "tap" ? LinkMode::kTap : LinkMode::kVeth;
    if (wish.network.has_value() == (wish.mode == LinkMode::kTap)) return refuse_parameter(kNetworkNamespaceField);
    if (wish.mode == LinkMode::kTap && wish.interface_name) return refuse_parameter(kInterfaceNameField);
    return wish;
}

/// The link, made: the descriptor is a tap's.
OrFault<UniqueFd> make_link(const Wish& wish, const registry::Registration& registration,
                            const resources::LinkPurpose& purpose, const std::string& host_name) {
    resources::LinkSide host{host_name, resources::host_mac_address(host_name)};
    std::string alternative = resources::alternative_name(purpose);
    if (wish.mode == LinkMode::kTap) {
        Uid owner = registration.range ? registration.range->start : registration.owner;
        return TRY_SYSTEM(resources::create_tap(host, alternative, owner));
    }
    resources::LinkSide inside{wish.interface_name.value_or(std::string(resources::kDefaultInterfaceName)),
                               resources::inside_mac_address(purpose)};
    TRY_SYSTEM(resources::create_veth(*wish.network, host, alternative, inside));
    return UniqueFd();
}

varlink::Reply make_reply(const Wish& wish, const std::string& host_name, UniqueFd tap) {
    varlink::Reply reply;
    reply.parameters["hostInterfaceName"] = host_name;
    if (wish.mode == LinkMode::kVeth) {
        reply.parameters["namespaceInterfaceName"] =
            wish.interface_name.value_or(std::string(resources::kDefaultInterfaceName));
    } else {
        reply.parameters["interfaceFileDescriptor"] = 0;
        reply.fds.push_back(std::move(tap));
    }
    return reply;
}

OrFault<varlink::Reply> add(Context& context, varlink::Call& call) {
    auto userns = TRY(take_user_namespace(context, call));
    Wish wish = TRY(read_wish(call, userns));
    auto registration = TRY(require_registration(context, userns));
    TRY(require_owner(registration, call.peer));
    TRY(require_authority(context, call, authority::kDelegateNetworkInterface, "type",
                          std::string(*call.parameters.string("mode"))));

    resources::LinkPurpose purpose{wish.mode, registration.owner, registration.name, {}};
    if (wish.interface_name) purpose.interface_name = *wish.interface_name;
    std::string host_name = resources::host_interface_name(purpose);
    auto added = without_resources(registration);
    added.network_interfaces = {host_name};
    auto judge = [&](const auto& current) -> OrFault<void> {
        // The name is made from what is asked for: the same was asked before, but the link may be gone since.
        if (std::ranges::find(current.network_interfaces, host_name) != current.network_interfaces.end()) {
            if (TRY_SYSTEM(resources::link_presence(host_name)) == resources::LinkPresence::kNone) return {};
            return Refusal(varlink::system_error(EEXIST));
        }
        if (current.network_interfaces.size() >= kMaxNetworkInterfaces) return refuse("TooManyNetworkInterfaces");
        return {};
    };
    auto addition = TRY(Addition::record(context, std::move(added), judge));
    auto link = make_link(wish, registration, purpose, host_name);
    if (!link) {
        addition.undo();
        return Refusal(std::move(link).error());
    }
    TRY(addition.done());
    return make_reply(wish, host_name, std::move(*link));
}

}  // namespace

std::span<const varlink::Field> add_network_fields() { return kFields; }

varlink::Outcome add_network(Context& context, varlink::Call& call) {
    auto reply = add(context, call);
    if (!reply) return std::move(reply).error();
    return std::move(*reply);
}

}  // namespace nsr::service
