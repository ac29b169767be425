// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nsr::namespaces {

/// One line of /proc/<pid>/uid_map or gid_map (user_namespaces(7)): `count` ids from `inside` on are those from
/// `outside` on, the latter as the reader's own namespace sees them.
struct IdMapLine {
    uint32_t inside = 0;
    uint32_t outside = 0;
    uint32_t count = 0;
    bool operator==(const IdMapLine&) const = default;
};

using IdMap = std::vector<IdMapLine>;

/// EBADMSG for what is no map.
Result<IdMap> parse_id_map(std::string_view text);
/// Whether an id inside or outside is in two lines, which the kernel does not take.
bool has_overlap(const IdMap& map);
std::string format_id_map(const IdMap& map);

}  // namespace nsr::namespaces
