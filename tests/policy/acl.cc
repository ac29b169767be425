// SPDX-License-Identifier: LGPL-2.1-or-later
#include "acl.h"

#include <linux/capability.h>
#include <sys/xattr.h>

#include "attempt.h"

namespace nsr::channels {

namespace {

constexpr uint32_t kNoId = 0xffffffff;

void put(std::string& to, uint32_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) to.push_back(static_cast<char>(value >> (8 * i)));
}

void entry(std::string& acl, uint16_t tag, uint32_t id) {
    put(acl, tag, 2);
    put(acl, 7, 2);
    put(acl, id, 4);
}

}  // namespace

std::string acl_for(uint16_t tag, uint32_t id, uint32_t count) {
    // In the order that the kernel asks for: owner, users, group, groups, mask, others.
    std::string acl;
    put(acl, 2, 4);
    entry(acl, 1, kNoId);
    for (uint32_t i = 0; tag == kUserTag && i < count; ++i) entry(acl, tag, id + i);
    entry(acl, 4, kNoId);
    for (uint32_t i = 0; tag == kGroupTag && i < count; ++i) entry(acl, tag, id + i);
    entry(acl, 0x10, kNoId);
    entry(acl, 0x20, kNoId);
    return acl;
}

std::string long_acl(uint32_t foreign, uint32_t count, uint32_t last) {
    std::string acl;
    put(acl, 2, 4);
    entry(acl, 1, kNoId);
    for (uint32_t i = 0; i < count; ++i) entry(acl, kUserTag, foreign + i);
    entry(acl, kUserTag, last);
    entry(acl, 4, kNoId);
    entry(acl, 0x10, kNoId);
    entry(acl, 0x20, kNoId);
    return acl;
}

int set_acl(const std::string& path, const char* name, const std::string& value, int flags) {
    if (::lsetxattr(path.c_str(), name, value.data(), value.size(), flags) == 0) return 0;
    return errno == EOPNOTSUPP ? lacking(EOPNOTSUPP) : errno;
}

std::string capability() {
    std::string value;
    put(value, VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, 4);
    put(value, 1 << CAP_NET_RAW, 4);
    for (int i = 0; i < 3; ++i) put(value, 0, 4);
    return value;
}

std::string capability_of_root(uint32_t root) {
    std::string value;
    put(value, VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE, 4);
    value += capability().substr(4);
    put(value, root, 4);
    return value;
}

}  // namespace nsr::channels
