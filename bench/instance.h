// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "child.h"

namespace nsr::bench {

/// Where a private instance of the service lives. `runtime` is on a tmpfs, as /run is on a real host; `state` on a
/// disk.
struct Place {
    std::string binary_dir;
    std::string runtime;
    std::string state;
};

/// Memory of a process, in bytes.
struct Memory {
    uint64_t resident = 0;
    /// What no other process shares.
    uint64_t own = 0;
};

/// A private instance of the service.
class Instance {
public:
    /// Returns when the service has said that it is ready. ETIMEDOUT after 30 seconds.
    static Result<Instance> start(const Place& place, const std::string& enforcement);

    /// From fork(2) to READY=1, in seconds.
    double start_seconds() const { return start_seconds_; }
    const std::string& socket() const { return socket_; }
    pid_t pid() const { return child_.pid(); }
    Result<std::vector<pid_t>> workers() const;
    Result<size_t> registrations() const;
    bool has_registrations(Uid owner) const;
    /// Waits until this owner has no registration; ETIMEDOUT after 60 seconds.
    Status wait_until_released(Uid owner) const;
    /// In the log of all instances in this place.
    Result<size_t> log_lines() const;
    /// The registry stays, for the next one in the same place.
    Status stop() { return child_.terminate(); }

private:
    Instance(Child child, const Place& place, double start_seconds);

    Child child_;
    std::string registry_, socket_, log_;
    double start_seconds_;
};

Result<Memory> memory_of(pid_t pid);

}  // namespace nsr::bench
