// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::ctl {

/// A process that makes a cgroup and removes it again unless it is told to leave it. It stays in the user namespace of
/// the caller, since one that has left it may no longer have the right to, and outlives the caller for that, however
/// that ends.
class CgroupKeeper {
public:
    /// Makes the cgroup `name` in the directory `parent`. Errors: what mkdir(2) says.
    static Result<CgroupKeeper> start(BorrowedFd parent, const std::string& name);
    CgroupKeeper(CgroupKeeper&& other) noexcept
        : channel_(std::move(other.channel_)), process_(std::exchange(other.process_, 0)) {}
    CgroupKeeper& operator=(CgroupKeeper&&) = delete;
    CgroupKeeper(const CgroupKeeper&) = delete;
    CgroupKeeper& operator=(const CgroupKeeper&) = delete;
    /// Has the cgroup removed, which must have no processes by then.
    ~CgroupKeeper() { end(); }

    /// Leaves the cgroup where it is.
    void dismiss();

private:
    CgroupKeeper(UniqueFd channel, pid_t process) : channel_(std::move(channel)), process_(process) {}
    void end();

    UniqueFd channel_;
    pid_t process_;
};

}  // namespace nsr::ctl
