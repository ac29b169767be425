// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "resources/cgroup_handle.h"

namespace nsr::resources {

Result<UniqueFd> open_within_mount(BorrowedFd dir, const std::string& name, int flags) {
    struct open_how how{};
    how.flags = static_cast<__u64>(flags) | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, dir.get(), name.c_str(), &how, sizeof how)));
    int code = errno;
    if (!fd) return fail_errno(code, fmt::format("open {}", name));
    return fd;
}

Result<CgroupId> cgroup_id(BorrowedFd dir) {
    CgroupHandle handle;
    handle.get()->handle_bytes = sizeof(uint64_t);
    int mount_id = 0;
    int result = name_to_handle_at(dir.get(), "", handle.get(), &mount_id, AT_EMPTY_PATH);
    int code = errno;
    if (result < 0) return fail_errno(code, "cgroup id");
    if (handle.get()->handle_type != kCgroupHandleType) return fail(EINVAL, "not a cgroup");
    return handle.id();
}

}  // namespace nsr::resources
