// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/throw_away.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/sys.h"
#include "namespaces/block_signals.h"

namespace nsr::namespaces {

namespace {

constexpr uint64_t kTimeoutUsec = 2'000'000;
constexpr size_t kStackSize = 16384;

// Only system calls here: memory, heap and errno are the parent's, which waits in ppoll(2) meanwhile. The exit status
// is the errno of the step that failed.
__attribute__((no_sanitize("address", "undefined"))) int child(void* argument) {
    const auto& task = *static_cast<const ThrowAway::Task*>(argument);
    // A process inside may stop this one: it must not outlive the worker whose memory and descriptors it shares. A
    // change of credentials clears the wish, so it is said again.
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    if (syscall(SYS_setns, task.join.get(), CLONE_NEWUSER) < 0) syscall(SYS_exit_group, errno);
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; task.open && task.open[i]; ++i) {
        long fd = syscall(SYS_openat, AT_FDCWD, task.open[i], O_RDWR | O_CLOEXEC);
        if (fd < 0) syscall(SYS_exit_group, errno);
        task.opened[i] = static_cast<int>(fd);
    }
    syscall(SYS_exit_group, 0);
    return 0;
}

// The table of descriptors is shared: what a process has opened that was killed before it could say so is open here,
// and would keep the namespace alive that it had joined.
void close_opened(const ThrowAway::Task& task) {
    std::vector<UniqueFd> opened;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
        auto target = std::filesystem::read_symlink(entry.path(), ignored);
        for (size_t i = 0; task.open[i]; ++i)
            if (target == task.open[i]) opened.emplace_back(std::atoi(entry.path().filename().c_str()));
    }
    for (size_t i = 0; task.open[i]; ++i) task.opened[i] = -1;
}

}  // namespace

Result<ThrowAway> ThrowAway::run(const Task& task) {
    BlockSignals blocked;
    alignas(16) char stack[kStackSize];
    // Nothing is copied, neither pages nor descriptors. Without CLONE_FS, or setns(2) would refuse.
    int flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD | SIGCHLD;
    int pidfd = -1;
    Task copy = task;
    pid_t pid = clone(child, stack + kStackSize, flags, &copy, &pidfd);
    int code = errno;
    if (pid < 0) return fail_errno(code, "clone");
    ThrowAway process(pid, UniqueFd(pidfd));
    // The stack is this function's: whatever happens, the process must be gone before it returns.
    Status ended = process.wait();
    if (ended) return process;
    if (task.open) close_opened(task);
    return Failure(std::move(ended).error());
}

Status ThrowAway::wait() const {
    struct pollfd poll{pidfd_.get(), POLLIN, 0};
    auto ready = sys::poll({&poll, 1}, kTimeoutUsec);
    bool late = !ready || *ready == 0;
    if (late) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    while (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    if (late || info.si_code != CLD_EXITED)
        return fail(ECANCELED, "the process that joined the user namespace was interfered with");
    if (info.si_status != 0) return fail_errno(info.si_status, "join user namespace");
    return {};
}

void ThrowAway::reap() {
    if (pid_ == 0) return;
    siginfo_t info{};
    while (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 && errno == EINTR) {
    }
    pid_ = 0;
}

}  // namespace nsr::namespaces
