// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::hostdb {

/// A forked process in which code runs that is not trusted to end, or to leave memory alone: it has none of our
/// descriptors but 0 to 2, is nobody where we are root, and does not outlive us. For processes without threads only,
/// since the code may use the heap.
class ChildProbe {
public:
    /// `body` gives the exit status, 0…255, and must not touch what has a destructor with effects outside.
    static Result<ChildProbe> start(const std::function<int()>& body);
    ChildProbe(ChildProbe&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
    ChildProbe(const ChildProbe&) = delete;
    ChildProbe& operator=(const ChildProbe&) = delete;
    ChildProbe& operator=(ChildProbe&&) = delete;
    /// Kills it where it still runs.
    ~ChildProbe();

    /// The exit status. ETIMEDOUT: not by the deadline, on sys::now_usec()'s clock; ECANCELED: killed by a signal.
    Result<int> wait(uint64_t deadline_usec);

private:
    ChildProbe(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

    pid_t pid_;
    UniqueFd pidfd_;
};

}  // namespace nsr::hostdb
