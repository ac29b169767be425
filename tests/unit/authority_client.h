// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/sys.h"

namespace nsr::authority {

/// A process that has connected to us, and waits.
class Client {
public:
    explicit Client(uid_t uid = 0, const char* name = "client") {
        UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;  // without a name: the kernel chooses one
        socklen_t size = sizeof(sa_family_t);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (!listener || bind(listener.get(), generic, size) < 0 || listen(listener.get(), 1) < 0) abort();
        size = sizeof address;
        if (getsockname(listener.get(), generic, &size) < 0) abort();
        pid_ = fork();
        if (pid_ == 0) live(generic, size, uid, name);
        socket_ = UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket_) abort();
    }
    ~Client() {
        end();
        reap();
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    pid_t pid() const { return pid_; }
    BorrowedFd socket_fd() const { return socket_.borrow(); }

    /// Makes it a zombie.
    void end() const {
        if (reaped_) return;
        kill(pid_, SIGKILL);
        siginfo_t info;
        waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    }
    void reap() {
        if (!reaped_) waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }

private:
    [[noreturn]] static void live(const sockaddr* address, socklen_t size, uid_t uid, const char* name) {
        prctl(PR_SET_NAME, name);
        if (uid != 0 && setuid(uid) < 0) _exit(1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, address, size) < 0) _exit(1);
        for (;;) pause();
    }

    pid_t pid_ = -1;
    bool reaped_ = false;
    UniqueFd socket_;
};

}  // namespace nsr::authority
