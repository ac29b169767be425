// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "manager/event_loop.h"
#include "manager/kernel_side.h"

namespace nsr::manager {

/// Looks once a second whether the kernel runs every family of the policy's programs, and tells of deaths; and pins
/// again what is not pinned any more. What it finds, KernelSide is told. It judges by counts, never by how long
/// something takes, so that a slow or busy machine is not taken for one that does not enforce.
class Heartbeat {
public:
    /// `on_change`: KernelSide::choice() is another one now.
    Heartbeat(KernelSide& kernel, policy::Entries& entries, std::function<void()> on_change)
        : kernel_(kernel), entries_(entries), on_change_(std::move(on_change)) {}
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;

    /// Does nothing where the kernel does nothing for this instance.
    Status start(EventLoop& loop);

private:
    void beat();
    void restore_pins();
    std::optional<uint64_t> count_missed_calls();
    Result<std::vector<std::string_view>> silent_families();
    void count_deaths();
    void begin_gap(const std::vector<std::string_view>& silent);
    void end_gap();
    void report(const Status& outcome, std::string& last_problem) const;

    KernelSide& kernel_;
    policy::Entries& entries_;
    std::function<void()> on_change_;
    Source source_;

    uint64_t deaths_ = 0;
    bool is_one_dying_ = false, was_death_counted_ = false;
    int uncounted_ = 0;                       ///< beats in a row
    std::string pin_problem_, beat_problem_;  ///< what was logged last
};

}  // namespace nsr::manager
