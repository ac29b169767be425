// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/xattr_ids.h"

#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <cstring>

#include <endian.h>

namespace nsr::reclaim {

namespace {

// All of these are little-endian, on each machine.
uint32_t number_at(std::string_view bytes, size_t offset) {
    uint32_t number = 0;
    memcpy(&number, bytes.data() + offset, sizeof number);
    return le32toh(number);
}

Status append_acl_ids(std::string_view value, std::vector<uint32_t>& ids) {
    constexpr size_t kHeader = sizeof(struct posix_acl_xattr_header);
    constexpr size_t kEntry = sizeof(struct posix_acl_xattr_entry);
    if (value.size() < kHeader || (value.size() - kHeader) % kEntry != 0)
        return fail(EBADMSG, "an access control list of {} bytes", value.size());
    if (number_at(value, 0) != POSIX_ACL_XATTR_VERSION)
        return fail(EBADMSG, "an access control list of no known version");
    for (size_t at = kHeader; at < value.size(); at += kEntry) {
        uint32_t tag = number_at(value, at) & 0xffff;
        if (tag == ACL_USER || tag == ACL_GROUP) ids.push_back(number_at(value, at + 4));
    }
    return {};
}

Status append_capability_ids(std::string_view value, std::vector<uint32_t>& ids) {
    if (value.size() < sizeof(uint32_t)) return fail(EBADMSG, "a file capability of {} bytes", value.size());
    uint32_t revision = number_at(value, 0) & VFS_CAP_REVISION_MASK;
    size_t expected = revision == VFS_CAP_REVISION_1   ? XATTR_CAPS_SZ_1
                      : revision == VFS_CAP_REVISION_2 ? XATTR_CAPS_SZ_2
                      : revision == VFS_CAP_REVISION_3 ? XATTR_CAPS_SZ_3
                                                       : 0;
    if (value.size() != expected) return fail(EBADMSG, "a file capability of no known version");
    if (revision == VFS_CAP_REVISION_3) ids.push_back(number_at(value, XATTR_CAPS_SZ_3 - sizeof(uint32_t)));
    return {};
}

constexpr std::string_view kCapability = "security.capability";

bool is_acl(std::string_view name) { return name == "system.posix_acl_access" || name == "system.posix_acl_default"; }

}  // namespace

bool may_name_ids(std::string_view xattr) { return is_acl(xattr) || xattr == kCapability; }

Status append_xattr_ids(std::string_view name, std::string_view value, std::vector<uint32_t>& ids) {
    if (is_acl(name)) return append_acl_ids(value, ids);
    if (name == kCapability) return append_capability_ids(value, ids);
    return {};
}

}  // namespace nsr::reclaim
