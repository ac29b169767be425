// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/policy_recovery.h"

#include <algorithm>
#include <iterator>

#include "lifecycle/policy_entries.h"

namespace nsr::lifecycle {

namespaces::Life PolicyRecovery::enter(const registry::Registration& registration) {
    if (registry::is_set_aside(registration.userns)) return namespaces::Life::kDead;
    auto mark = instance_.entries.mark(registration.userns);
    bool is_known = mark && *mark != policy::Entries::Mark::kAbsent;
    if (!instance_.entries.exist() || is_known) {
        complete_claims(registration);
        return life_of(instance_, registration.userns);
    }
    // Files of the time before may carry its ids. That is written down first: from then on it looks like any other.
    Status entered =
        instance_.level == policy::Level::kEnforce ? instance_.used_set->mark_used(registration.starts()) : Status();
    if (entered) entered = enter_policy(instance_, registration);
    if (!entered) entered_ = std::move(entered);
    // Another namespace, below or above this one, may be the innermost.
    std::ranges::copy(registration.starts(), std::back_inserter(unsettled_));
    // The new entry says nothing of a death before it.
    auto life = instance_.prober.probe(registration.userns);
    if (life == namespaces::Life::kDead) static_cast<void>(instance_.entries.mark_dead(registration.userns.inode));
    return life;
}

// Whoever entered it may have been killed before the end.
void PolicyRecovery::complete_claims(const registry::Registration& registration) {
    for (Uid start : registration.starts()) {
        auto owner = instance_.entries.owner(start);
        if (owner && !*owner) unsettled_.push_back(start);
    }
}

void PolicyRecovery::keep(const registry::Registration& registration) {
    if (!instance_.entries.exist() || registry::is_set_aside(registration.userns)) return;
    NsInode inode = registration.userns.inode;
    namespaces_.insert(inode);
    for (Uid start : registration.starts()) starts_.insert(start);
    for (CgroupId cgroup : registration.cgroups) {
        cgroups_.emplace(cgroup, inode);
        Status added = instance_.entries.add_cgroup(cgroup, inode);
        if (!added) entered_ = std::move(added);
    }
}

Status PolicyRecovery::complete(Known known) {
    TRY(std::move(entered_));
    for (Uid start : unsettled_) {
        auto holder = TRY(innermost_holder(instance_, start));
        if (holder) TRY(instance_.entries.set_owner(start, *holder));
    }
    if (known == Known::kSome || instance_.taken.holds_any()) return {};
    return instance_.entries.prune({
        .keep_namespace = [this](NsInode inode) { return namespaces_.contains(inode); },
        .keep_owner = [this](Uid start) { return starts_.contains(start); },
        .keep_cgroup = [this](CgroupId cgroup, NsInode inode) { return cgroups_.contains({cgroup, inode}); },
    });
}

}  // namespace nsr::lifecycle
