// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/network_namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/sys.h"
#include "namespaces/user_namespace.h"

namespace nsr::resources {

Result<NetworkNamespace> NetworkNamespace::from_descriptor(UniqueFd&& fd) {
    struct statfs fs{};
    int result = fstatfs(fd.get(), &fs);
    int code = errno;
    if (result < 0) return fail_errno(code, "fstatfs");
    // Only now may an ioctl go to it: on a device the same number could mean anything.
    if (fs.f_type != NSFS_MAGIC) return fail(EINVAL, "not a namespace");
    TRY(namespaces::require_plain_open_flags(fd.borrow()));
    if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return fail(EINVAL, "not a network namespace");

    auto given = TRY(sys::stat_fd(fd.borrow()));
    auto own = TRY(sys::stat_target("/proc/self/ns/net"));
    if (given.st_dev == own.st_dev && given.st_ino == own.st_ino)
        return fail(EINVAL, "the service's own network namespace");

    UniqueFd userns(ioctl(fd.get(), NS_GET_USERNS));
    code = errno;
    if (!userns) return fail_errno(code, "owner of the network namespace");
    auto owner = TRY(namespaces::UserNamespace::from_descriptor(std::move(userns)));
    return NetworkNamespace(std::move(fd), owner.identity());
}

}  // namespace nsr::resources
