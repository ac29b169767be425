// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/core_files.h"

#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <unistd.h>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include <endian.h>

#include "base/sys.h"

namespace nsr::resources {

namespace {

constexpr char kList[] = "system.posix_acl_access";
/// The kernel allows no longer value.
constexpr size_t kMaxListSize = 65536;
constexpr std::string_view kPrefix = "core.";

/// "core.<command>.<uid>.<boot>.<pid>.<time>", and dots in the command are escaped.
std::optional<Uid> uid_in(std::string_view name) {
    size_t begin = name.find('.', kPrefix.size());
    if (begin == name.npos) return std::nullopt;
    std::string_view text = name.substr(begin + 1, name.find('.', begin + 1) - begin - 1);
    uint32_t uid = 0;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), uid);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return Uid(uid);
}

bool may_concern(std::string_view name, const DeadIds& ids) {
    if (!name.starts_with(kPrefix)) return false;
    auto uid = uid_in(name);
    return !uid || ids.has(*uid);
}

bool is_dead(std::string_view entry, const DeadIds& ids) {
    posix_acl_xattr_entry bytes;
    memcpy(&bytes, entry.data(), sizeof bytes);
    uint32_t id = le32toh(bytes.e_id);
    switch (le16toh(bytes.e_tag)) {
        case ACL_USER:
            return ids.has(Uid(id));
        case ACL_GROUP:
            return ids.has(Gid(id));
        default:
            return false;
    }
}

/// What is left of a list.
std::string without(std::string_view list, const DeadIds& ids) {
    constexpr size_t kHeader = sizeof(posix_acl_xattr_header), kEntry = sizeof(posix_acl_xattr_entry);
    std::string left(list.substr(0, kHeader));
    for (size_t at = kHeader; at + kEntry <= list.size(); at += kEntry)
        if (auto entry = list.substr(at, kEntry); !is_dead(entry, ids)) left += entry;
    return left;
}

Status clear_file(BorrowedFd dir, const std::string& name, const DeadIds& ids) {
    auto file = sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    // A symbolic link, or removed by systemd-tmpfiles(8) meanwhile.
    if (!file && (file.error().code() == ELOOP || file.error().code() == ENOENT)) return {};
    if (!file) return Failure(std::move(file).error());
    auto st = TRY(sys::stat_fd(file->borrow()));
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) return {};
    auto list = sys::get_xattr(file->borrow(), kList, kMaxListSize);
    if (!list && (list.error().code() == ENODATA || list.error().code() == EOPNOTSUPP)) return {};
    if (!list) return Failure(std::move(list).error());
    std::string left = without(*list, ids);
    return left == *list ? Status() : sys::set_xattr(file->borrow(), kList, left);
}

}  // namespace

Result<CoreFiles> clear_core_files(const std::string& directory, const DeadIds& ids, uint64_t usec) {
    auto dir = sys::open_at(sys::kCwd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir && dir.error().code() == ENOENT) return CoreFiles::kCleared;
    if (!dir) return Failure(std::move(dir).error());
    auto st = TRY(sys::stat_fd(dir->borrow()));
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(EPERM, "{} can be written to by others", directory);
    auto names = TRY(sys::list_directory(dir->borrow(), "."));
    // What other users have there takes none of the time.
    std::erase_if(names, [&](const auto& name) { return !may_concern(name, ids); });
    uint64_t end_usec = sys::now_usec() + usec;
    bool has_begun = false;
    for (const auto& name : names) {
        if (std::exchange(has_begun, true) && sys::now_usec() >= end_usec) return CoreFiles::kLeft;
        TRY_WITHIN(name, clear_file(dir->borrow(), name, ids));
    }
    return CoreFiles::kCleared;
}

}  // namespace nsr::resources
