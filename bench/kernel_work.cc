// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kernel_work.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>

#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kStackSize = 16384;

// The children share memory and descriptors with this process, which sleeps until they are gone: system calls only.
int open_own_namespace(void* argument) {
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    *static_cast<int*>(argument) = static_cast<int>(fd);
    syscall(SYS_exit, 0);
    return 0;
}

int join(void* argument) {
    syscall(SYS_exit, syscall(SYS_setns, *static_cast<int*>(argument), CLONE_NEWUSER) < 0 ? 1 : 0);
    return 0;
}

Result<pid_t> run(int (*function)(void*), int flags, int& argument) {
    alignas(16) char stack[kStackSize];
    // Neither pages nor the table of descriptors are copied. CLONE_VFORK would cost more than to wait for the zombie.
    pid_t pid = clone(function, stack + kStackSize, CLONE_VM | CLONE_FILES | SIGCHLD | flags, &argument);
    if (pid < 0) return fail_errno(errno, "clone");
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) < 0) return fail_errno(errno, "waitid");
    return pid;
}

Status reap(pid_t pid) {
    int status = 0;
    if (waitpid(pid, &status, 0) < 0) return fail_errno(errno, "waitpid");
    if (status != 0) return fail(EIO, "the child failed");
    return {};
}

Status write_map(pid_t pid, const char* file, const char* text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(errno, path);
    ssize_t n = write(fd, text, size);
    int code = errno;
    close(fd);
    if (n < 0) return fail_errno(code, path);
    return {};
}

}  // namespace

Result<std::vector<UniqueFd>> make_user_namespaces(Uid owner, size_t count) {
    ActAs user(owner);
    return make_own_user_namespaces(count);
}

Result<std::vector<UniqueFd>> make_own_user_namespaces(size_t count) {
    std::vector<UniqueFd> made;
    made.reserve(count);
    while (made.size() < count) {
        int fd = -1;
        pid_t pid = TRY(run(open_own_namespace, CLONE_NEWUSER, fd));
        UniqueFd opened(fd);
        TRY(reap(pid));
        if (!opened) return fail(EIO, "cannot open a new user namespace");
        made.push_back(std::move(opened));
    }
    return made;
}

Status map_user_namespace(BorrowedFd userns, uint32_t start) {
    int fd = userns.get();
    pid_t pid = TRY(run(join, 0, fd));
    char text[32];
    auto size = static_cast<size_t>(snprintf(text, sizeof text, "0 %u 65536\n", start));
    Status gids = write_map(pid, "gid_map", text, size);
    Status uids = write_map(pid, "uid_map", text, size);
    TRY(reap(pid));
    TRY(gids);
    return uids;
}

}  // namespace nsr::bench
