// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/enter.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cstring>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::ctl {

namespace {

// As of a shell that cannot run a command.
constexpr int kNoSuchCommand = 127;
constexpr int kNotExecutable = 126;

std::string_view hint_for_unshare(int code) {
    switch (code) {
        case EPERM:
        case EACCES:
            return " (is this a chroot, or does the system forbid user namespaces to ordinary users?)";
        case ENOSPC:
        case EUSERS:
            return " (the limit in /proc/sys/user/max_user_namespaces, or of nesting, is reached)";
        case EINVAL:
            return " (the kernel was built without user namespaces)";
        default:
            return "";
    }
}

}  // namespace

Result<UniqueFd> enter_new_user_namespace() {
    if (::unshare(CLONE_NEWUSER) < 0) {
        const int code = errno;
        return fail(code, "cannot make a user namespace: {}{}", strerror(code), hint_for_unshare(code));
    }
    return sys::open_at(sys::kCwd, "/proc/self/ns/user", O_RDONLY);
}

Status become_inside(InsideIds ids, Groups groups) {
    // Groups first: with another uid than root's the kernel refuses to change them. They are dropped since they are
    // the caller's outside, not mapped, and would open files inside that nobody there should open.
    if (groups == Groups::kDropped && ::setgroups(0, nullptr) < 0)
        return fail_errno(errno, "cannot drop the supplementary groups");
    const gid_t gid = ids.gid.value;
    const uid_t uid = ids.uid.value;
    if (::setresgid(gid, gid, gid) < 0)
        return fail_errno(errno, fmt::format("cannot become group {} of the namespace", gid));
    if (::setresuid(uid, uid, uid) < 0)
        return fail_errno(errno, fmt::format("cannot become user {} of the namespace", uid));
    return {};
}

Result<UniqueFd> enter_new_network_namespace() {
    if (::unshare(CLONE_NEWNET) < 0) return fail_errno(errno, "cannot make a network namespace");
    return sys::open_at(sys::kCwd, "/proc/self/ns/net", O_RDONLY);
}

Status enter_new_mount_namespace() {
    if (::unshare(CLONE_NEWNS) < 0) return fail_errno(errno, "cannot make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0)
        return fail_errno(errno, "cannot keep mounts from spreading to the outside");
    return {};
}

int execute(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    // execvp(3) takes pointers to non-const for the sake of old code and changes nothing.
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    const int code = errno;
    log::error("cannot execute {}: {}", command[0], strerror(code));
    return code == ENOENT ? kNoSuchCommand : kNotExecutable;
}

}  // namespace nsr::ctl
