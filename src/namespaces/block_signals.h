// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <csignal>

namespace nsr::namespaces {

/// No signal handler may run in a process that shares its parent's memory: all signals are blocked from before clone(2)
/// to the end of the process.
class BlockSignals {
public:
    BlockSignals() {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &saved_);
    }
    ~BlockSignals() { sigprocmask(SIG_SETMASK, &saved_, nullptr); }
    BlockSignals(const BlockSignals&) = delete;
    BlockSignals& operator=(const BlockSignals&) = delete;

private:
    sigset_t saved_{};
};

}  // namespace nsr::namespaces
