// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/reach.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <optional>

#include "base/sys.h"
#include "reclaim/mount_table.h"

namespace nsr::reclaim {

namespace {

using Mounts = std::vector<Mount>;
/// Mounts that are taken away at most until what they hide is seen.
constexpr int kMaxHiding = 64;

struct Place {
    UniqueFd fd;
    uint64_t mount_id = 0;
};

Result<uint64_t> mount_id_of(BorrowedFd fd) {
    struct statx stx{};
    if (::statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
        return fail_errno(errno, "statx");
    return stx.stx_mnt_id;
}

// What the path leads to, or as far as it leads: a mount that hides another one need not have its directories.
Result<Place> open_place(std::string path) {
    for (;;) {
        auto fd = sys::open_at(sys::kCwd, path, O_PATH | O_NOFOLLOW);
        if (fd) {
            uint64_t id = TRY(mount_id_of(fd->borrow()));
            return Place{*std::move(fd), id};
        }
        if (path == "/" || (fd.error().code() != ENOENT && fd.error().code() != ENOTDIR))
            return Failure(std::move(fd).error());
        path.resize(std::max<size_t>(path.rfind('/'), 1));
    }
}

const Mount* find_mount(const Mounts& mounts, uint64_t id) {
    auto found = std::ranges::find(mounts, id, &Mount::id);
    return found == mounts.end() ? nullptr : &*found;
}

bool is_above(const Mounts& mounts, uint64_t above, const Mount& below) {
    const Mount* mount = &below;
    for (size_t i = 0; mount && i < mounts.size(); i++) {
        if (mount->parent == above) return true;
        mount = find_mount(mounts, mount->parent);
    }
    return false;
}

// A copy of this one mount, without those below it.
Result<UniqueFd> open_copy(BorrowedFd place) {
    UniqueFd tree(::open_tree(place.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
    if (!tree) return fail_errno(errno, "copy a mount");
    return sys::open_at(tree.borrow(), ".", O_RDONLY | O_DIRECTORY);
}

// Takes the mount away that stands where this one should be seen.
Status uncover(const Mounts& mounts, const Mount& wanted, uint64_t hiding) {
    const Mount* mount = find_mount(mounts, hiding);
    if (!mount || is_above(mounts, hiding, wanted)) return fail(ENOTSUP, "it is hidden by other mounts");
    if (::umount2(mount->point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0) return fail_errno(errno, "it is hidden");
    return {};
}

Result<std::optional<UniqueFd>> reach_by_mount(BorrowedFd proc, const std::string& device) {
    for (int round = 0; round < kMaxHiding; round++) {
        Mounts mounts = TRY(read_mount_table(proc));
        Status uncovered = fail(ENOTSUP, "only parts of it are mounted, or with other ids");
        bool is_mounted = false;
        for (const Mount& mount : mounts) {
            if (mount.device != device || !mount.shows_all()) continue;
            is_mounted = true;
            Place place = TRY(open_place(mount.point));
            if (place.mount_id == mount.id) return std::optional(TRY(open_copy(place.fd.borrow())));
            uncovered = uncover(mounts, mount, place.mount_id);
            if (uncovered) break;  // the table is another one now
        }
        if (!is_mounted) return std::optional<UniqueFd>();
        if (!uncovered) return Failure(std::move(uncovered).error());
    }
    return fail(ENOTSUP, "it is hidden by too many mounts");
}

int configure(BorrowedFd context, unsigned command, const char* key, const char* value) {
    return ::fsconfig(context.get(), command, key, value, 0);
}

// A file system that is mounted already is not mounted anew by this; it gets one more mount, of all of it.
Result<UniqueFd> mount_device(const Mount& mount) {
    UniqueFd context(::fsopen(mount.type.c_str(), FSOPEN_CLOEXEC));
    if (!context) return fail_errno(errno, "fsopen");
    bool done = configure(context.borrow(), FSCONFIG_SET_STRING, "source", mount.source.c_str()) == 0;
    if (mount.super_has("ro")) done = done && configure(context.borrow(), FSCONFIG_SET_FLAG, "ro", nullptr) == 0;
    if (mount.type == "btrfs") done = done && configure(context.borrow(), FSCONFIG_SET_STRING, "subvolid", "5") == 0;
    done = done && configure(context.borrow(), FSCONFIG_CMD_CREATE, nullptr, nullptr) == 0;
    if (!done) return fail_errno(errno, "mount of all of it");
    UniqueFd fd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    if (!fd) return fail_errno(errno, "mount of all of it");
    return fd;
}

Result<UniqueFd> reach_by_device(BorrowedFd proc, const std::string& device) {
    Mounts mounts = TRY(read_mount_table(proc));
    auto part = std::ranges::find(mounts, device, &Mount::device);
    if (part == mounts.end()) return fail(ENOTSUP, "it is not mounted any more");
    auto source = sys::stat_target(part->source);
    if (!source || !S_ISBLK(source->st_mode)) return fail(ENOTSUP, "only parts of it are mounted, or with other ids");
    UniqueFd fd = TRY(mount_device(*part));
    // Where it is mounted does not matter; the mount table knows nothing of it before.
    if (::move_mount(fd.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) return fail_errno(errno, "move_mount");
    uint64_t id = TRY(mount_id_of(fd.borrow()));
    mounts = TRY(read_mount_table(proc));
    const Mount* mount = find_mount(mounts, id);
    if (!mount || mount->device != device || !mount->shows_all())
        return fail(ENOTSUP, "only parts of it are mounted, and its device is another one by now");
    return open_copy(fd.borrow());
}

}  // namespace

Status enter_private_mounts(BorrowedFd namespace_fd) {
    if (namespace_fd && ::setns(namespace_fd.get(), CLONE_NEWNS) < 0) return fail_errno(errno, "enter mounts");
    if (::unshare(CLONE_NEWNS) < 0) return fail_errno(errno, "copy mounts");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return fail_errno(errno, "keep mounts apart");
    return {};
}

Result<UniqueFd> reach_root(BorrowedFd proc, const std::string& device, Devices devices) {
    auto root = reach_by_mount(proc, device);
    if (root && *root) return *std::move(*root);
    if (devices == Devices::kMayBeMounted) return reach_by_device(proc, device);
    if (!root) return Failure(std::move(root).error());
    return fail(ENOTSUP, "only parts of it are mounted, or with other ids");
}

}  // namespace nsr::reclaim
