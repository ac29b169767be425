// SPDX-License-Identifier: LGPL-2.1-or-later
#include "child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace nsr::bench {

Result<Child> Child::run(const std::function<int()>& function) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) return fail_errno(errno, "fork");
    if (pid > 0) return Child(pid);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    _exit(function());
}

Child::~Child() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    static_cast<void>(wait());
}

Status Child::wait() {
    int status = 0;
    pid_t waited = waitpid(std::exchange(pid_, 0), &status, 0);
    if (waited < 0) return fail_errno(errno, "waitpid");
    if (status != 0) return fail(EIO, "a child process failed (status {:#x})", status);
    return {};
}

Status Child::terminate() {
    kill(pid_, SIGTERM);
    return wait();
}

}  // namespace nsr::bench
