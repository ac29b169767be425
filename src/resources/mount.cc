// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/mount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cstdio>

#include "base/sys.h"
#include "namespaces/user_namespace.h"

namespace nsr::resources {

namespace {

// Linux 6.8; not in Debian 12's headers. An older kernel ignores it.
constexpr unsigned kUniqueMountId = 0x4000;

// File systems that the kernel lets nobody mount but the root of the initial user namespace (they lack
// FS_USERNS_MOUNT), so that their superblocks never hold another one.
constexpr long kXfs = 0x58465342, kExfat = 0x2011bab0, kErofs = 0xe0f5e1e2;
constexpr std::array<long, 9> kHostOnly{
    EXT4_SUPER_MAGIC,  BTRFS_SUPER_MAGIC, kXfs, kErofs, kExfat, SQUASHFS_MAGIC, F2FS_SUPER_MAGIC,
    MSDOS_SUPER_MAGIC, ISOFS_SUPER_MAGIC};

enum class Holds { kNothing, kMaybeNamespace };

// Up to some kernel before 6.9 an id-mapped mount holds the user namespace that it took its maps from, and nothing
// tells whether a detached mount is id-mapped.
Holds id_mapping_holds() {
    struct utsname system{};
    unsigned major = 0, minor = 0;
    if (uname(&system) < 0 || sscanf(system.release, "%u.%u", &major, &minor) != 2) return Holds::kMaybeNamespace;
    return major > 6 || (major == 6 && minor >= 9) ? Holds::kNothing : Holds::kMaybeNamespace;
}

// The kernel refuses the option "noswap" for a tmpfs that another user namespace than the initial one owns (Linux 6.4;
// older: for each). It is only parsed here: without FSCONFIG_CMD_RECONFIGURE nothing of the file system changes.
Holds tmpfs_holds(BorrowedFd dir) {
    UniqueFd context(static_cast<int>(syscall(SYS_fspick, dir.get(), "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)));
    if (!context) return Holds::kMaybeNamespace;
    long result = syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_FLAG, "noswap", nullptr, 0);
    return result == 0 ? Holds::kNothing : Holds::kMaybeNamespace;
}

Result<Holds> superblock_holds(BorrowedFd dir) {
    struct statfs fs{};
    int result = fstatfs(dir.get(), &fs);
    int code = errno;
    if (result < 0) return fail_errno(code, "fstatfs");
    if (fs.f_type == TMPFS_MAGIC) return tmpfs_holds(dir);
    bool host_only = std::ranges::find(kHostOnly, fs.f_type) != kHostOnly.end();
    return host_only ? Holds::kNothing : Holds::kMaybeNamespace;
}

}  // namespace

Result<Mount> Mount::from_descriptor(UniqueFd&& fd) {
    TRY(namespaces::require_plain_open_flags(fd.borrow(), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    // AT_STATX_DONT_SYNC: a server behind a network or FUSE mount is not asked, and cannot keep us waiting.
    struct statx st{};
    int result =
        statx(fd.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID | kUniqueMountId, &st);
    int code = errno;
    if (result < 0) return fail_errno(code, "statx");
    if (!S_ISDIR(st.stx_mode)) return fail(ENOTDIR, "not a directory");
    return Mount(std::move(fd), st.stx_mnt_id);
}

Result<std::optional<UniqueFd>> Mount::pin() const {
    if (id_mapping_holds() == Holds::kMaybeNamespace) return std::optional<UniqueFd>();
    if (TRY(superblock_holds(fd_.borrow())) == Holds::kMaybeNamespace) return std::optional<UniqueFd>();
    // Not a duplicate: that would keep the credentials of whoever opened the directory, or the nameless mount namespace
    // of a detached mount, and by either the user namespace.
    UniqueFd path(static_cast<int>(syscall(SYS_open_tree, fd_.get(), "", AT_EMPTY_PATH | O_CLOEXEC)));
    int code = errno;
    if (!path) return fail_errno(code, "open_tree");
    // Nor with O_PATH: systemd takes into its store only what epoll_ctl(2) does not call a bad descriptor.
    UniqueFd pin = TRY(sys::open_at(path.borrow(), ".", O_RDONLY | O_DIRECTORY));
    return std::optional(std::move(pin));
}

}  // namespace nsr::resources
