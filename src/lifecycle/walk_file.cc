// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/walk_file.h"

#include <fcntl.h>
#include <cstring>

#include "base/sys.h"

namespace nsr::lifecycle {

namespace {

/// No host has as many cgroups as that.
constexpr size_t kMaxSize = 64 << 20;

std::string new_file(const std::string& path) { return path + ".new"; }

Status unless_missing(Status status) {
    if (!status && status.error().code() == ENOENT) return {};
    return status;
}

}  // namespace

Result<resources::CgroupWalk> read_walk(BorrowedFd dir, const std::string& path) {
    resources::CgroupWalk walk;
    auto text = sys::read_file_at(dir, path, kMaxSize);
    if (!text && text.error().code() == ENOENT) return walk;
    if (!text) return Failure(std::move(text).error());
    static_assert(sizeof(CgroupId) == sizeof(uint64_t));
    walk.resize(text->size() / sizeof(CgroupId));
    memcpy(walk.data(), text->data(), walk.size() * sizeof(CgroupId));
    return walk;
}

Status write_walk(BorrowedFd dir, const std::string& path, const resources::CgroupWalk& walk) {
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
    UniqueFd fd = TRY(sys::open_at(dir, new_file(path), flags, 0600));
    const auto* bytes = reinterpret_cast<const char*>(walk.data());
    TRY(sys::write_all(fd.borrow(), {bytes, walk.size() * sizeof(CgroupId)}));
    return sys::rename_at(dir, new_file(path), dir, path);
}

Status remove_walk(BorrowedFd dir, const std::string& path) {
    TRY(unless_missing(sys::unlink_at(dir, new_file(path))));
    return unless_missing(sys::unlink_at(dir, path));
}

}  // namespace nsr::lifecycle
