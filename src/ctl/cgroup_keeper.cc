// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/cgroup_keeper.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::ctl {

namespace {

constexpr int kTries = 200;
constexpr useconds_t kBetweenTriesUsec = 10'000;

/// In the child.
[[noreturn]] void keep(BorrowedFd parent, const std::string& name, BorrowedFd channel) {
    // Ctrl-C in the terminal is for all of the foreground: it must not end this before there is something to do.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);

    const int made = ::mkdirat(parent.get(), name.c_str(), 0755);
    const int code = made < 0 ? errno : 0;
    const bool is_heard = ::send(channel.get(), &code, sizeof code, MSG_NOSIGNAL) == sizeof code;
    if (code != 0) ::_exit(0);
    char word = 0;
    if (is_heard && ::read(channel.get(), &word, 1) == 1) ::_exit(0);
    int result = 0;
    int tries = 0;
    // EBUSY: the other process is still about to end. ENOENT: the service was quicker.
    while ((result = ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR)) < 0 && errno == EBUSY && ++tries < kTries)
        ::usleep(kBetweenTriesUsec);
    if (result < 0 && errno != ENOENT) log::warning("the cgroup {} is left behind: {}", name, strerror(errno));
    ::_exit(0);
}

}  // namespace

Result<CgroupKeeper> CgroupKeeper::start(BorrowedFd parent, const std::string& name) {
    sys::FdPair channel = TRY(sys::socket_pair(SOCK_SEQPACKET));
    const pid_t process = ::fork();
    if (process < 0) return fail_errno(errno, "fork");
    if (process == 0) {
        // Its end is what tells the end of the other process.
        channel.first.reset();
        keep(parent, name, channel.second.borrow());
    }
    channel.second.reset();
    CgroupKeeper keeper(std::move(channel.first), process);
    int code = 0;
    ssize_t got = 0;
    do {
        got = ::read(keeper.channel_.get(), &code, sizeof code);
    } while (got < 0 && errno == EINTR);
    if (got != sizeof code) return fail(EIO, "a process of this program was killed");
    if (code != 0) return fail_errno(code, "make the cgroup " + name);
    return keeper;
}

void CgroupKeeper::dismiss() {
    if (process_ != 0) ::send(channel_.get(), "k", 1, MSG_NOSIGNAL);
    end();
}

void CgroupKeeper::end() {
    if (process_ == 0) return;
    channel_.reset();
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) continue;
    process_ = 0;
}

}  // namespace nsr::ctl
