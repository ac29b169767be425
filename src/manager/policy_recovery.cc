// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/policy_recovery.h"

#include "service/policy_entries.h"

namespace nsr::manager {

namespaces::Life PolicyRecovery::enter(const registry::Registration& registration) {
    auto mark = context_.entries.mark(registration.userns);
    bool is_known = mark && *mark != policy::Entries::Mark::kAbsent;
    if (!context_.entries.exist() || is_known) return service::life_of(context_, registration.userns);
    Status entered = service::enter_policy(context_, registration);
    for (CgroupId cgroup : registration.cgroups)
        if (entered) entered = context_.entries.add_cgroup(cgroup, registration.userns.inode);
    if (!entered) entered_ = std::move(entered);
    // Another namespace, below or above this one, may be the innermost.
    for (Uid start : registration.starts()) unknown_.push_back(start);
    // The new entry says nothing of a death before it.
    return context_.prober.probe(registration.userns);
}

void PolicyRecovery::keep(const registry::Registration& registration) {
    if (!context_.entries.exist()) return;
    NsInode inode = registration.userns.inode;
    namespaces_.insert(inode);
    for (Uid start : registration.starts()) starts_.insert(start);
    for (CgroupId cgroup : registration.cgroups) cgroups_.emplace(cgroup, inode);
}

Status PolicyRecovery::complete() {
    TRY(std::move(entered_));
    for (Uid start : unknown_) {
        auto holder = TRY(service::innermost_holder(context_, start));
        if (holder) TRY(context_.entries.set_owner(start, *holder));
    }
    return context_.entries.prune({
        .keep_namespace = [this](NsInode inode) { return namespaces_.contains(inode); },
        .keep_owner = [this](Uid start) { return starts_.contains(start); },
        .keep_cgroup = [this](CgroupId cgroup, NsInode inode) { return cgroups_.contains({cgroup, inode}); },
    });
}

}  // namespace nsr::manager
