// SPDX-License-Identifier: LGPL-2.1-or-later
// User namespaces for tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "namespaces/user_namespace.h"

namespace nsr::namespaces {

#define NEEDS_ROOT() \
    if (geteuid() != 0) GTEST_SKIP() << "needs root"

inline UserNamespace make_namespace(const UserNamespace* below = nullptr) {
    int ready[2], hold[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (below && setns(below->fd().get(), CLONE_NEWUSER) < 0) _exit(1);
        if (below && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)) _exit(2);
        if (unshare(CLONE_NEWUSER) < 0) _exit(3);
        char byte = 'x';
        close(hold[1]);
        if (write(ready[1], &byte, 1) < 0 || read(hold[0], &byte, 1) < 0) _exit(4);
        _exit(0);
    }
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    auto fd = sys::open_at(sys::kCwd, fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
    EXPECT_TRUE(fd);
    close(hold[1]);
    waitpid(pid, nullptr, 0);
    close(ready[0]);
    close(hold[0]);
    auto made = UserNamespace::from_descriptor(std::move(*fd));
    EXPECT_TRUE(made);
    return std::move(*made);
}

}  // namespace nsr::namespaces
