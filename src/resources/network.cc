// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/network.h"

#include <linux/veth.h>
#include <algorithm>

#include "base/log.h"
#include "resources/alternative_name.h"
#include "resources/link_info.h"
#include "resources/route_socket.h"

namespace nsr::resources {

namespace {

void put_side(LinkRequest& request, const LinkSide& side) {
    request.put(IFLA_IFNAME, side.name);
    request.put(IFLA_ADDRESS, side.mac);
}

Status delete_link(RouteSocket& socket, int32_t index) { return socket.ask(LinkRequest(RTM_DELLINK, 0, index)); }

void take_back(RouteSocket& socket, const std::string& name) {
    auto link = find_link(socket, name);
    Status removed = !link   ? Status(Failure(std::move(link).error()))
                     : *link ? delete_link(socket, (*link)->index)
                             : Status();
    if (!removed) log::warning("The half-made link {} could not be taken back: {}", name, removed.error().what());
}

enum class Ours { kNo, kYes };

Ours is_ours(const LinkInfo& link, Uid owner, std::string_view registration) {
    if (link.kind != "veth" && link.kind != "tun") return Ours::kNo;
    bool known = std::ranges::any_of(link.alternative_names, [&](const std::string& name) {
        return is_alternative_name_of(name, owner, registration);
    });
    // A worker may have died between making a link and naming it.
    bool unfinished = link.alternative_names.empty() && link.mac == host_mac_address(link.name);
    return known || unfinished ? Ours::kYes : Ours::kNo;
}

}  // namespace

Status create_veth(const NetworkNamespace& network, const LinkSide& host, const std::string& alternative,
                   const LinkSide& inside) {
    if (!is_valid_interface_name(host.name) || !is_valid_interface_name(inside.name))
        return fail(EINVAL, "unfit interface name");
    auto socket = TRY(RouteSocket::open());
    LinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    put_side(request, host);
    request.nest(IFLA_LINKINFO, [&] {
        request.put(IFLA_INFO_KIND, std::string("veth"));
        request.nest(IFLA_INFO_DATA, [&] {
            request.nest(VETH_INFO_PEER, [&] {
                request.put_link_header();
                put_side(request, inside);
                request.put(IFLA_NET_NS_FD, static_cast<uint32_t>(network.fd().get()));
            });
        });
    });
    TRY_WITHIN(fmt::format("make link {}", host.name), socket.ask(request));
    Status named = set_alternative_name(socket, host.name, alternative, inside.name);
    if (!named) take_back(socket, host.name);
    return named;
}

Result<LinkPresence> link_presence(const std::string& host_name) {
    auto socket = TRY(RouteSocket::open());
    return TRY(find_link(socket, host_name)) ? LinkPresence::kThere : LinkPresence::kNone;
}

Result<LinkRemoval> remove_link(const std::string& host_name, Uid owner, std::string_view registration) {
    if (!is_valid_interface_name(host_name)) return fail(EINVAL, "unfit interface name");
    auto socket = TRY(RouteSocket::open());
    auto link = TRY(find_link(socket, host_name));
    if (!link) return LinkRemoval::kGone;
    if (is_ours(*link, owner, registration) == Ours::kNo) return LinkRemoval::kNotOurs;
    // By the index, which a link keeps for life: the name could be another one's by now.
    Status removed = delete_link(socket, link->index);
    if (!removed && removed.error().code() == ENODEV) return LinkRemoval::kGone;
    if (!removed) return Failure(std::move(removed).error().within(fmt::format("remove link {}", host_name)));
    return LinkRemoval::kRemoved;
}

}  // namespace nsr::resources
