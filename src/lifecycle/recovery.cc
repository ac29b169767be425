// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/recovery.h"

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/home.h"
#include "lifecycle/policy_recovery.h"
#include "lifecycle/release_resources.h"
#include "lifecycle/repair.h"
#include "lifecycle/stock.h"
#include "lifecycle/user_recovery.h"
#include "registry/recover.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;

// A range whose namespace was not under the policy all the time is handed out again only after a reclaim, whatever the
// level is by now.
Status mark_unsafe_ranges(Instance& instance, Past past, std::span<const Uid> in_use) {
    bool all = instance.level == policy::Level::kQuarantine ||
               (instance.level == policy::Level::kEnforce && past == Past::kNotEnforced);
    return all ? instance.used_set->mark_used(in_use) : Status();
}

// What was added to it, and what has its ids, is released before the record goes: the reaper sees to that.
bool has_more(const Registration& registration) {
    return !registration.cgroups.empty() || !registration.network_interfaces.empty() || !registration.starts().empty();
}

void log_report(const registry::RecoveryReport& report) {
    if (report.removed + report.broken + report.links_made + report.links_removed + report.unread.size() == 0) return;
    log::notice("Registry: {} entries kept, {} of dead namespaces removed, {} broken, {} not readable at this time",
                report.kept, report.removed, report.broken, report.unread.size());
}

Status finish_stock(Instance& instance) {
    if (instance.level != policy::Level::kQuarantine) return {};
    TRY(forget_unused_ranges(instance));
    ranges::HostFiles host_files;
    return refill(instance, host_files);
}

}  // namespace

Result<Recovered> recover(Instance& instance, Past past) {
    Recovered recovered;
    TRY(check_home(instance));
    // What cannot be repaired now stays in the journal, so that its range stays taken and no call begins anew there.
    if (auto repaired = repair(instance); !repaired) log::warning("{}", repaired.error().what());
    TRY(forget_all_releases(instance));
    PolicyRecovery policy(instance);
    UserRecovery users(instance);
    std::vector<Uid> in_use;
    auto judge = [&](const Registration& registration) {
        bool is_dead = policy.enter(registration) == namespaces::Life::kDead;
        if (is_dead && !has_more(registration)) return registry::Verdict::kRemove;
        recovered.registered.push_back({registration.userns, registration.owner});
        for (Uid start : registration.starts()) in_use.push_back(start);
        policy.keep(registration);
        users.keep(registration);
        return registry::Verdict::kKeep;
    };
    auto report = TRY(registry::recover(instance.store, judge));
    log_report(report);
    TRY_WITHIN("kernel policy",
               policy.complete(report.is_complete() ? PolicyRecovery::Known::kAll : PolicyRecovery::Known::kSome));
    users.complete();
    instance.taken.rebuild(TRY(instance.store.taken_starts()));
    for (Uid start : in_use) instance.taken.set(start);  // whatever links there are
    TRY(mark_unsafe_ranges(instance, past, in_use));
    TRY(finish_stock(instance));
    recovered.unread = std::move(report.unread);
    return recovered;
}

namespace {

Result<std::optional<Registration>> complete_record(Instance& instance, NsInode inode) {
    auto lock = TRY(instance.store.lock());
    auto registration = TRY(instance.store.find_by_inode(inode));
    if (!registration) return registration;
    TRY(instance.store.update(lock, *registration));
    for (Uid start : registration->starts()) instance.taken.set(start);
    return registration;
}

}  // namespace

// The used set is written without the registry lock: it waits for the disk.
Result<std::optional<Registered>> recover_one(Instance& instance, NsInode inode) {
    auto registration = TRY(complete_record(instance, inode));
    if (!registration) return std::optional<Registered>();
    // As before: what the policy knew of it was left alone.
    if (instance.entries.exist()) {
        PolicyRecovery policy(instance);
        policy.enter(*registration);
        policy.keep(*registration);
        TRY(policy.complete(PolicyRecovery::Known::kSome));
    }
    for (Uid start : registration->starts()) {
        if (instance.users.knowledge_of(start) == ranges::UserTable::Knowledge::kUnknown)
            instance.users.assign(start, instance.users.user_of(registration->owner));
    }
    if (instance.used_set && instance.level == policy::Level::kQuarantine)
        TRY(instance.used_set->mark_used(registration->starts()));
    return std::optional(Registered{registration->userns, registration->owner});
}

}  // namespace nsr::lifecycle
