// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "resources/network_names.h"
#include "resources/route_socket.h"

namespace nsr::resources {

/// What the kernel says about a link.
struct LinkInfo {
    int32_t index = 0;
    std::string name;
    std::string kind;  ///< "veth", "tun", …; empty for hardware
    std::vector<std::string> alternative_names;
    std::optional<MacAddress> mac;
};

/// The link of exactly this name (not one that has it as an alternative name), or nothing.
Result<std::optional<LinkInfo>> find_link(RouteSocket& socket, const std::string& name);

}  // namespace nsr::resources
