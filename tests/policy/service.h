// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <string>

#include "base/result.h"

namespace nsr::channels {

/// A private instance of the service; ended with the object.
class Service {
public:
    /// Starts DIRECTORY/nsresourced with its directories and its log below `scratch`, and waits until it answers.
    static Result<Service> start(const std::string& directory, const std::string& level, const std::string& scratch);
    Service(Service&& other) noexcept : pid_(std::exchange(other.pid_, -1)), socket_(std::move(other.socket_)) {}
    Service& operator=(Service&&) = delete;
    ~Service();

    const std::string& socket() const { return socket_; }

private:
    Service(pid_t pid, std::string socket) : pid_(pid), socket_(std::move(socket)) {}
    Status wait_for_answer() const;

    pid_t pid_;
    std::string socket_;
};

}  // namespace nsr::channels
