// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr {

/// In a new process: closes all descriptors from `first` on but the given ones, which are sorted.
Status close_all_but(std::span<const int> kept, unsigned first);

/// A forked process that does not outlive its parent. For processes without threads only, since what it does may use
/// the heap. What it cannot do, it says: the stage that failed and the errno value arrive as an Error.
class ForkedChild {
public:
    /// Gives the exit status, 0…255. Must not touch what has a destructor with effects outside.
    using Body = std::function<Result<int>()>;
    /// Of the descriptors from 3 on it has the `kept` ones; all of them where there are none given.
    static Result<ForkedChild> start(std::optional<std::vector<int>> kept, const Body& body);
    ForkedChild(ForkedChild&& other) noexcept
        : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)), report_(std::move(other.report_)) {}
    ForkedChild(const ForkedChild&) = delete;
    ForkedChild& operator=(const ForkedChild&) = delete;
    ForkedChild& operator=(ForkedChild&&) = delete;
    /// Kills it where it still runs. One that does not end within some seconds hangs in the kernel, and is left there.
    ~ForkedChild();

    pid_t pid() const { return pid_; }
    /// The exit status, or the error of the body. ETIMEDOUT: not by the deadline, on sys::now_usec()'s clock;
    /// ECANCELED: killed by a signal.
    Result<int> wait(uint64_t deadline_usec);
    /// The error of the body, where it has one by now; it is said once. Does not wait.
    Status failure() const;
    /// Kills it, and does not wait for it either.
    void abandon();

private:
    ForkedChild(pid_t pid, UniqueFd pidfd, UniqueFd report)
        : pid_(pid), pidfd_(std::move(pidfd)), report_(std::move(report)) {}

    pid_t pid_;
    UniqueFd pidfd_;
    UniqueFd report_;
};

}  // namespace nsr
