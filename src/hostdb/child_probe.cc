// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/child_probe.h"

#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "base/sys.h"

namespace nsr::hostdb {

namespace {

constexpr uint32_t kNobody = 65534;
/// No exit status of a body that keeps to 0…127; also what a failed exec gives in a shell.
constexpr int kNotPrepared = 255;

bool prepare(pid_t parent) {
    // The worker holds its clients' namespaces and sockets; untrusted code must neither use them nor keep them alive.
    if (close_range(3, ~0u, 0) < 0) return false;
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, nullptr) < 0) return false;
    for (int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR2, SIGHUP}) ::signal(signal, SIG_DFL);
    if (geteuid() == 0 && (setgroups(0, nullptr) < 0 || setresgid(kNobody, kNobody, kNobody) < 0 ||
                           setresuid(kNobody, kNobody, kNobody) < 0))
        return false;
    // After the change of ids, which resets it (prctl(2)).
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return false;
    return getppid() == parent;
}

}  // namespace

Result<ChildProbe> ChildProbe::start(const std::function<int()>& body) {
    pid_t parent = getpid();
    pid_t pid = fork();
    int code = errno;
    if (pid < 0) return fail_errno(code, "fork");
    if (pid == 0) _exit(prepare(parent) ? body() : kNotPrepared);

    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    code = errno;
    ChildProbe child(pid, std::move(pidfd));  // from here on it is killed and reaped
    if (!child.pidfd_) return fail_errno(code, "pidfd_open");
    return child;
}

ChildProbe::~ChildProbe() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<int> ChildProbe::wait(uint64_t deadline_usec) {
    struct pollfd poll{pidfd_.get(), POLLIN, 0};
    uint64_t now = sys::now_usec();
    size_t ready = TRY(sys::poll({&poll, 1}, deadline_usec > now ? deadline_usec - now : 0));
    if (ready == 0) return fail(ETIMEDOUT, "no answer in time");
    int status = 0;
    pid_t reaped = waitpid(pid_, &status, 0);
    int code = errno;
    if (reaped < 0) return fail_errno(code, "waitpid");
    pid_ = 0;
    if (!WIFEXITED(status)) return fail(ECANCELED, "killed by signal {}", WTERMSIG(status));
    return WEXITSTATUS(status);
}

}  // namespace nsr::hostdb
