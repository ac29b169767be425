// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <csignal>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::ctl {

/// Keeps SIGHUP, SIGINT and SIGTERM waiting for as long as there is something to be undone first. When it ends, those
/// that came have their usual effect.
class SignalHold {
public:
    static Result<SignalHold> create();
    SignalHold(SignalHold&& other) noexcept;
    SignalHold& operator=(SignalHold&&) = delete;
    ~SignalHold();

    /// Readable once a signal waits. Nobody must read it, else the signal is lost.
    BorrowedFd fd() const { return fd_.borrow(); }

private:
    SignalHold(UniqueFd fd, const sigset_t& before) : fd_(std::move(fd)), before_(before) {}

    UniqueFd fd_;
    sigset_t before_;
};

}  // namespace nsr::ctl
