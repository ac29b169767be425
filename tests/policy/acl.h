// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>

namespace nsr::channels {

constexpr uint16_t kUserTag = 2, kGroupTag = 8;

/// The xattr form of an access control list: the three basic entries, a mask, and `count` of a kind from this id on.
std::string acl_for(uint16_t tag, uint32_t id, uint32_t count = 1);
/// The same, of foreign users and one more at the end.
std::string long_acl(uint32_t foreign, uint32_t count, uint32_t last);
/// lsetxattr(2); 0 or an errno value, lacking() where the file system has no such attributes.
int set_acl(const std::string& path, const char* name, const std::string& value, int flags);

/// The xattr form of a file capability: of version 2, or of version 3 with this root.
std::string capability();
std::string capability_of_root(uint32_t root);

}  // namespace nsr::channels
