// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "manager/event_loop.h"
#include "manager/options.h"
#include "manager/reaper.h"
#include "policy/death_bell.h"
#include "policy/kernel_policy.h"
#include "service/context.h"

namespace nsr::manager {

/// What the kernel does for this instance: the policy, where it can be had and is wanted, and word of dead namespaces.
class KernelSide {
public:
    /// Loads what is missing, and has the policy proven. Never fails: the level says what came of it.
    static KernelSide set_up(const Options& options);

    const policy::Choice& choice() const { return choice_; }
    Result<policy::Entries> entries() const;
    /// None at levels other than `enforce`.
    policy::MissedCalls missed_calls() const { return missed_calls_; }
    /// Whether the entries that are there have been enforced by now.
    bool was_enforced() const;
    /// What the policy does not cover on this kernel.
    std::vector<policy::Program> missing() const;

    /// Once the entries are complete: what an earlier version has attached goes.
    void finish_exchange() const;
    /// Keeps up to date what new entries begin with, for as long as the source lives.
    Result<Source> count_missed_calls(EventLoop& loop, policy::Entries& entries) const;
    Reaper::Senses senses(const service::Context& context) const;
    /// Has the reaper told of each death, for as long as the source lives.
    Result<Source> ring(EventLoop& loop, Reaper& reaper) const;
    /// The service stops: where no namespace is registered, there is nothing to enforce.
    void leave(const policy::Entries& entries) const;

private:
    KernelSide() = default;
    Status prove(policy::KernelPolicy& policy, const std::string& runtime_dir);

    policy::Choice choice_;
    std::optional<policy::KernelPolicy> policy_;
    policy::MissedCalls missed_calls_;
};

}  // namespace nsr::manager
