// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/user_namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/sys.h"

namespace nsr::namespaces {

namespace {

// Linux 6.18; not in Debian 12's headers.
constexpr unsigned long kGetNamespaceId = _IOR(NSIO, 0xd, uint64_t);

Result<NsIdentity> identify(BorrowedFd fd) {
    auto st = TRY(sys::stat_fd(fd));
    uint64_t id = 0;
    int result = ioctl(fd.get(), kGetNamespaceId, &id);
    int code = errno;
    // An older kernel, where the inode number must do. After any other error it would make a stranger of a namespace.
    if (result < 0 && code != ENOTTY && code != EINVAL) return fail_errno(code, "id of a namespace");
    if (result < 0) id = 0;
    return NsIdentity{NsInode(st.st_ino), NsId(id)};
}

}  // namespace

Status require_plain_open_flags(BorrowedFd fd, int allowed) {
    int flags = fcntl(fd.get(), F_GETFL);
    int code = errno;
    if (flags < 0) return fail_errno(code, "open flags");
    // The kernel's own value of O_LARGEFILE, which it sets by itself; the C library hides it as 0 on 64-bit machines.
    constexpr int kLargeFile = 0100000;
    if ((flags & ~(kLargeFile | allowed)) != O_RDONLY) return fail(EREMOTEIO, "unusual open flags 0{:o}", flags);
    return {};
}

Result<UserNamespace> UserNamespace::from_descriptor(UniqueFd&& fd) {
    struct statfs fs{};
    int result = fstatfs(fd.get(), &fs);
    int code = errno;
    if (result < 0) return fail_errno(code, "fstatfs");
    // Only now may an ioctl go to it: on a device the same number could mean anything.
    if (fs.f_type != NSFS_MAGIC) return fail(EINVAL, "not a namespace");
    TRY(require_plain_open_flags(fd.borrow()));
    if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWUSER) return fail(EINVAL, "not a user namespace");
    NsIdentity identity = TRY(identify(fd.borrow()));
    return UserNamespace(std::move(fd), identity);
}

Result<UserNamespace> UserNamespace::own() { return from_descriptor(TRY(sys::own_user_namespace())); }

Result<Uid> UserNamespace::owner() const {
    uid_t uid = 0;
    int result = ioctl(fd_.get(), NS_GET_OWNER_UID, &uid);
    int code = errno;
    if (result < 0) return fail_errno(code, "owner of the user namespace");
    return Uid(uid);
}

Result<UserNamespace> UserNamespace::parent() const {
    UniqueFd fd(ioctl(fd_.get(), NS_GET_PARENT));
    int code = errno;
    if (!fd) return fail_errno(code, "parent of the user namespace");
    // The kernel's own answer needs no proof of its kind.
    NsIdentity identity = TRY(identify(fd.borrow()));
    return UserNamespace(std::move(fd), identity);
}

}  // namespace nsr::namespaces
