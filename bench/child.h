// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <functional>
#include <utility>

#include "base/result.h"

namespace nsr::bench {

/// A child process, which is killed when this goes, or when its parent does.
class Child {
public:
    /// The child runs `function` and ends with its status.
    static Result<Child> run(const std::function<int()>& function);

    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    /// Waits for its end. EIO if that is not one with status 0.
    Status wait();
    /// Sends SIGTERM, and waits.
    Status terminate();

private:
    explicit Child(pid_t pid) : pid_(pid) {}

    pid_t pid_;
};

}  // namespace nsr::bench
