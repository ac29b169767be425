// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_ownership.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <string>
#include <utility>

#include "base/sys.h"
#include "resources/cgroup_file.h"
#include "resources/cgroup_listing.h"

namespace nsr::resources {

namespace {

/// Besides the bits that work by owner: an owner who is dead may have let everybody write.
constexpr mode_t kNotForRoot = S_ISUID | S_ISGID | S_ISVTX | S_IWGRP | S_IWOTH;

bool is_affected(const struct stat& st, const DeadIds& ids) {
    return ids.has(Uid(st.st_uid)) || ids.has(Gid(st.st_gid));
}

// Takes an O_PATH descriptor, too, on which fchmod(2) does not work. Many files of a cgroup cannot be opened in another
// way: some fail where a feature is off, others begin to work when they are opened.
Status give_to_root(BorrowedFd fd, const struct stat& st, const DeadIds& ids) {
    if ((st.st_mode & kNotForRoot) != 0) {
        int result = chmod(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), st.st_mode & 0777 & ~kNotForRoot);
        int code = errno;
        if (result < 0) return fail_errno(code, "change the mode");
    }
    uid_t uid = ids.has(Uid(st.st_uid)) ? 0 : static_cast<uid_t>(-1);
    gid_t gid = ids.has(Gid(st.st_gid)) ? 0 : static_cast<gid_t>(-1);
    int result = fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH);
    int code = errno;
    if (result < 0) return fail_errno(code, "change the owner");
    return {};
}

// Files come and go with the controllers, and all of them with the cgroup.
bool is_gone(const Error& error) { return error.code() == ENOENT || error.code() == ENODEV; }

Status retake_file(BorrowedFd cgroup, const std::string& name, const DeadIds& ids) {
    auto seen = sys::stat_at(cgroup, name);
    if (!seen && is_gone(seen.error())) return {};
    if (!seen) return Failure(std::move(seen).error());
    if (!is_affected(*seen, ids)) return {};
    auto fd = open_within_mount(cgroup, name, O_PATH | O_NOFOLLOW);
    if (!fd && is_gone(fd.error())) return {};
    if (!fd) return Failure(std::move(fd).error());
    auto st = TRY(sys::stat_fd(fd->borrow()));
    if (!is_affected(st, ids)) return {};
    return give_to_root(fd->borrow(), st, ids);
}

// The files of pressure vanish while cgroup.pressure has 0 (cgroup-v2.rst), and come again with the owner that they
// had. A dead owner may have hidden them; what he did is undone, so that they are found.
Status show_hidden(BorrowedFd cgroup, const DeadIds& ids) {
    auto fd = open_within_mount(cgroup, "cgroup.pressure", O_RDWR);
    if (!fd && (is_gone(fd.error()) || fd.error().code() == EOPNOTSUPP)) return {};
    if (!fd) return Failure(std::move(fd).error());
    auto st = TRY(sys::stat_fd(fd->borrow()));
    if (!is_affected(st, ids)) return {};
    auto shown = sys::write_all(fd->borrow(), "1");
    if (!shown && !is_gone(shown.error())) return shown;
    return {};
}

}  // namespace

Result<std::vector<CgroupId>> retake(BorrowedFd cgroup, const DeadIds& ids) {
    std::vector<CgroupId> below;
    TRY(show_hidden(cgroup, ids));
    // The directory first: a program that still has the ids could otherwise make another one in it, after it was
    // listed.
    auto st = TRY(sys::stat_fd(cgroup));
    if (is_affected(st, ids)) TRY(give_to_root(cgroup, st, ids));
    auto listing = TRY(CgroupListing::open(cgroup));
    for (;;) {
        auto entry = TRY(listing.next());
        if (entry.kind == CgroupListing::Entry::Kind::kNone) break;
        if (entry.kind == CgroupListing::Entry::Kind::kCgroup) {
            below.push_back(entry.id);
        } else {
            TRY(retake_file(cgroup, entry.name, ids));
        }
    }
    return below;
}

}  // namespace nsr::resources
