// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <array>

#include "base/sys.h"
#include "namespaces/user_namespace.h"
#include "resources/cgroup_file.h"

namespace nsr::resources {

namespace {

constexpr std::array kDelegatedFiles{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};

Status require_cgroup2_directory(BorrowedFd fd) {
    struct statfs fs{};
    int result = fstatfs(fd.get(), &fs);
    int code = errno;
    if (result < 0) return fail_errno(code, "fstatfs");
    if (fs.f_type != CGROUP2_SUPER_MAGIC) return fail(EINVAL, "not on a cgroup2 file system");
    auto st = TRY(sys::stat_fd(fd));
    if (!S_ISDIR(st.st_mode)) return fail(EINVAL, "not a directory");
    return {};
}

// cgroup.type is what every cgroup has but the root of the tree (cgroups(7)). The root of a cgroup namespace or of a
// bind mount has it, and may be given away like any other.
Status require_below_root(BorrowedFd fd, CgroupId id) {
    if (id == kTreeRoot) return fail(EINVAL, "the root of the cgroup tree");
    auto type = open_within_mount(fd, "cgroup.type", O_PATH);
    if (type) return {};
    if (type.error().code() != ENOENT) return Failure(std::move(type).error());
    if (!open_within_mount(fd, "cgroup.procs", O_PATH)) return fail(ENODEV, "the cgroup was removed");
    return fail(EINVAL, "the root of the cgroup tree");
}

Status give(BorrowedFd fd, uid_t uid, gid_t gid, mode_t mode) {
    int result = fchown(fd.get(), uid, gid);
    int code = errno;
    if (result < 0) return fail_errno(code, "change the owner");
    return sys::set_mode(fd, mode);  // after chown, which takes some bits away
}

}  // namespace

Result<Cgroup> Cgroup::from_descriptor(UniqueFd&& fd) {
    TRY(namespaces::require_plain_open_flags(fd.borrow(), O_DIRECTORY | O_NOFOLLOW));
    TRY(require_cgroup2_directory(fd.borrow()));
    CgroupId id = TRY(cgroup_id(fd.borrow()));
    TRY(require_below_root(fd.borrow(), id));
    return Cgroup(std::move(fd), id);
}

Result<Uid> Cgroup::owner() const {
    auto st = TRY(sys::stat_fd(fd_.borrow()));
    return Uid(st.st_uid);
}

Result<CgroupHandover> Cgroup::prepare_handover() const {
    // The descriptor may come from a mount namespace where its sender is root, who could have mounted /etc/shadow over
    // cgroup.procs to be made its owner: hence open_within_mount().
    CgroupHandover handover;
    // The directory goes first: who repairs it after a kill sees by its owner that it was begun.
    handover.items_.push_back({fd_.borrow(), TRY(sys::stat_fd(fd_.borrow())), 0755});
    for (const char* name : kDelegatedFiles) {
        handover.files_.push_back(TRY(open_within_mount(fd_.borrow(), name, O_RDONLY | O_NONBLOCK)));
        BorrowedFd file = handover.files_.back().borrow();
        handover.items_.push_back({file, TRY(sys::stat_fd(file)), 0644});
    }
    return handover;
}

Status CgroupHandover::give(Uid uid, Gid gid) {
    for (const auto& item : items_) {
        ++begun_;
        TRY(resources::give(item.fd, uid.value, gid.value, item.mode));
    }
    return {};
}

Status CgroupHandover::take_back() {
    for (; begun_ > 0; --begun_) {
        const Item& item = items_[begun_ - 1];
        TRY(resources::give(item.fd, item.before.st_uid, item.before.st_gid, item.before.st_mode & 07777));
    }
    return {};
}

}  // namespace nsr::resources
