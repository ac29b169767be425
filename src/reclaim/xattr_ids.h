// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nsr::reclaim {

/// Adds the ids that the value of an extended attribute names: users and groups of POSIX access control lists, the root
/// id of a file capability (version 3). Attributes of other names have none. EBADMSG: the value is malformed.
Status append_xattr_ids(std::string_view name, std::string_view value, std::vector<uint32_t>& ids);

/// Whether that function wants to see the value.
bool may_name_ids(std::string_view xattr);

}  // namespace nsr::reclaim
