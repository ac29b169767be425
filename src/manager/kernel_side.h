// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "lifecycle/instance.h"
#include "manager/event_loop.h"
#include "manager/options.h"
#include "manager/reaper.h"
#include "policy/death_bell.h"
#include "policy/kernel_policy.h"
#include "policy/pulse.h"

namespace nsr::manager {

/// What the kernel does for this instance: the policy, where it can be had and is wanted, and word of dead namespaces.
class KernelSide {
public:
    /// Loads what is missing, and has the policy proven. Never fails: the level says what came of it.
    static KernelSide set_up(const Options& options);

    /// Another one after begin_gap() and end_gap().
    const policy::Choice& choice() const { return choice_; }
    Result<policy::Entries> entries() const;
    /// None at levels other than `enforce`.
    policy::MissedCalls missed_calls() const { return missed_calls_; }
    /// Whether the entries that are there have been enforced by now.
    bool was_enforced() const;
    /// What the policy does not cover on this kernel.
    std::vector<policy::Program> missing() const;

    /// Once the entries are complete: what an earlier version has attached goes.
    void finish_exchange();
    Reaper::Senses senses(const lifecycle::Instance& context) const;
    /// Has the reaper told of each death, for as long as the source lives.
    Result<Source> ring(EventLoop& loop, Reaper& reaper) const;
    /// For the Heartbeat. Whether there is anything to look after.
    bool has_programs() const { return policy_.has_value(); }
    Result<size_t> restore_pins() { return policy_->restore_pins(); }
    bool has_pulse() const { return pulse_.has_value(); }
    /// None where the policy is not at work.
    Result<std::vector<std::string_view>> silent_families() const;
    /// Since the maps are there.
    Result<uint64_t> count_deaths() const { return policy_->count_deaths(); }

    /// A time in which the kernel does not run the programs, though they are attached.
    struct Gap {
        time_t begin = 0, end = 0;  ///< seconds since 1970; 0: it lasts
        std::string what;
    };
    /// The last one of this instance.
    const std::optional<Gap>& gap() const { return gap_; }
    bool is_in_gap() const { return gap_ && gap_->end == 0; }
    /// The level is what this host can have without a policy; and as before.
    void begin_gap(const std::vector<std::string_view>& silent);
    void end_gap();

    /// The service stops: where no namespace is registered, there is nothing to enforce.
    void leave(const policy::Entries& entries) const;

private:
    KernelSide() = default;
    Status prove(policy::KernelPolicy& policy, const std::string& runtime_dir);

    std::optional<policy::Level> wanted_;
    policy::Choice choice_, choice_without_gap_;
    std::optional<policy::KernelPolicy> policy_;
    policy::MissedCalls missed_calls_;
    std::optional<policy::Pulse> pulse_;
    std::optional<Gap> gap_;
    bool began_in_gap_ = false;  ///< an earlier instance ended in it
};

}  // namespace nsr::manager
