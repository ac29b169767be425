// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/signal_hold.h"

#include <sys/signalfd.h>

namespace nsr::ctl {

Result<SignalHold> SignalHold::create() {
    sigset_t held, before;
    sigemptyset(&held);
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
        struct sigaction action{};
        // The kernel lets even an ignored signal wait while it is blocked: nohup(1) means that it is none.
        if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&held, number);
    }
    UniqueFd fd(::signalfd(-1, &held, SFD_CLOEXEC));
    const int code = errno;
    if (!fd) return fail_errno(code, "signalfd");
    sigprocmask(SIG_BLOCK, &held, &before);
    return SignalHold(std::move(fd), before);
}

// What was moved from has no descriptor, and holds nothing any more.
SignalHold::SignalHold(SignalHold&& other) noexcept : fd_(std::move(other.fd_)), before_(other.before_) {}

SignalHold::~SignalHold() {
    if (fd_) sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace nsr::ctl
