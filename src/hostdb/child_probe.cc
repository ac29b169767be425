// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/child_probe.h"

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>

namespace nsr::hostdb {

namespace {

constexpr uint32_t kNobody = 65534;

Status become_nobody() {
    if (geteuid() != 0) return {};
    if (setgroups(0, nullptr) < 0) return fail_errno(errno, "setgroups");
    if (setresgid(kNobody, kNobody, kNobody) < 0) return fail_errno(errno, "setresgid");
    if (setresuid(kNobody, kNobody, kNobody) < 0) return fail_errno(errno, "setresuid");
    return {};
}

Status prepare(pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, nullptr) < 0) return fail_errno(errno, "sigprocmask");
    for (int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR2, SIGHUP}) ::signal(signal, SIG_DFL);
    TRY(become_nobody());
    // The change of ids has reset it (prctl(2)).
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return fail_errno(errno, "wish to end with the parent");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return fail_errno(errno, "no new privileges");
    if (getppid() != parent) return fail(ESRCH, "the parent is gone");
    return {};
}

}  // namespace

Result<ForkedChild> start_probe(const std::function<int()>& body) {
    pid_t parent = getpid();
    // The worker holds its clients' namespaces and sockets; untrusted code must neither use them nor keep them alive.
    return ForkedChild::start(std::vector<int>(), [&]() -> Result<int> {
        TRY(prepare(parent));
        return body();
    });
}

}  // namespace nsr::hostdb
