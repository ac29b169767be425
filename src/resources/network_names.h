// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

/// Names and addresses of network links (interface.md section 2, AddNetworkToUserNamespace). All are functions of the
/// registration and of what the caller asked for, so that they are the same again in another run.
namespace nsr::resources {

enum class LinkMode { kVeth, kTap };

using MacAddress = std::array<uint8_t, 6>;

/// The inside side of a veth pair for which no name was given.
inline constexpr std::string_view kDefaultInterfaceName = "host0";

/// 1…15 printable ASCII characters without white space, '/', ':' and '%'; not a number, nor ".", "..", "all",
/// "default".
bool is_valid_interface_name(std::string_view name);

/// What a link is made for.
struct LinkPurpose {
    LinkMode mode;
    Uid owner;                                       ///< of the registration
    std::string_view registration;                   ///< its name
    std::optional<std::string_view> interface_name;  ///< as given; never for a tap
};

/// "ns-" and 12 hex digits: 15 characters.
std::string host_interface_name(const LinkPurpose& purpose);
/// "ns-<owner uid>-<name>[-<interface name>]": at most 52 characters, of the 127 that the kernel allows.
std::string alternative_name(const LinkPurpose& purpose);
/// Whether a link with this alternative name was made for this registration, whatever the interface name was.
bool is_alternative_name_of(std::string_view alternative, Uid owner, std::string_view registration);

/// Locally administered and unicast, as the inside address. A function of the host interface name (and so of what that
/// is made from): by it a link is known as ours while its alternative name is not yet there.
MacAddress host_mac_address(std::string_view host_interface_name);
MacAddress inside_mac_address(const LinkPurpose& purpose);

}  // namespace nsr::resources
