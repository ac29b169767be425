// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/network_names.h"
#include "resources/network_namespace.h"

/// Network links in the network namespace of the calling process, by rtnetlink(7). Every call has a socket of its own
/// and waits no longer than two seconds for an answer (ETIMEDOUT).
namespace nsr::resources {

struct LinkSide {
    std::string name;
    MacAddress mac;
};

/// Makes a pair, both sides down: `host` here, with the alternative name, and `inside` directly in the other network
/// namespace. EEXIST: one of the names is taken, on its side; nothing was made or changed. After other errors nothing
/// remains either.
Status create_veth(const NetworkNamespace& network, const LinkSide& host, const std::string& alternative,
                   const LinkSide& inside);

/// Makes a tap that this user may attach to (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR), down. It goes with the descriptor that
/// is returned. EEXIST: the name is taken.
Result<UniqueFd> create_tap(const LinkSide& host, const std::string& alternative, Uid owner);

enum class LinkPresence { kNone, kThere };
Result<LinkPresence> link_presence(const std::string& host_name);

/// kNotOurs: a link of this name exists, but was not made for this registration; it is left alone.
enum class LinkRemoval { kRemoved, kGone, kNotOurs };

/// Removes the host side of a link (and so the pair, or the tap whoever holds its descriptor) that was made for a
/// registration. It must be of the kind that we make, and either its alternative name says that it belongs to the
/// registration, or it has none yet and its address is the one that we give to this name.
Result<LinkRemoval> remove_link(const std::string& host_name, Uid owner, std::string_view registration);

}  // namespace nsr::resources
