// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::authority {

/// The process that made a connection, held by a pidfd, so that no other one that got its pid is taken for it.
class Process {
public:
    /// Of a connected AF_UNIX socket and what SO_PEERCRED says of it. ESRCH: it has exited, or is in no pid namespace
    /// that we see. EPERM: on a kernel without SO_PEERPIDFD (before 6.5), a process with this pid is another user's.
    static Result<Process> behind(BorrowedFd socket, pid_t pid, Uid uid);

    BorrowedFd pidfd() const { return pidfd_.borrow(); }
    pid_t pid() const { return pid_; }
    /// In clock ticks since boot: field 22 of proc_pid_stat(5), as polkit wants it.
    uint64_t start_time() const { return start_time_; }

    /// ESRCH once it has exited. As long as there is no error, nobody else has had its pid.
    Status require_alive() const;

private:
    Process(UniqueFd pidfd, pid_t pid) : pidfd_(std::move(pidfd)), pid_(pid) {}

    UniqueFd pidfd_;
    pid_t pid_;
    uint64_t start_time_ = 0;
};

}  // namespace nsr::authority
