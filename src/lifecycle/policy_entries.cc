// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/policy_entries.h"

#include "base/log.h"

namespace nsr::lifecycle {

namespace {

using policy::Entries;
using registry::Registration;

// Whoever was given ids of others may drop groups as they could; `type: self` may not (interface.md section 2).
Entries::Setgroups setgroups_of(const Registration& registration) {
    if (!registration.range) return Entries::Setgroups::kUnchanged;
    bool denied = registration.setgroups == Registration::Setgroups::kDenied;
    return denied ? Entries::Setgroups::kDenied : Entries::Setgroups::kAllowed;
}

Status add(Instance& instance, const Registration& registration) {
    // A worker that began before the manager noticed the gap: the range would be free again after a reboot.
    if (instance.level == policy::Level::kEnforce && TRY(instance.entries.is_in_gap()))
        return fail(EAGAIN, "the kernel does not run the policy at present");
    TRY(instance.entries.add(registration.userns, setgroups_of(registration)));
    for (Uid start : registration.starts()) TRY(instance.entries.set_owner(start, registration.userns.inode));
    return {};
}

bool note_missed_calls(Instance& instance) {
    if (!instance.missed_calls.are_possible()) return true;
    auto count = instance.missed_calls.count();
    Status noted = count ? instance.entries.note_missed(*count) : Failure(std::move(count).error());
    if (!noted) log::warning("Cannot count the calls that the kernel policy missed: {}", noted.error().what());
    return noted.has_value();
}

}  // namespace

namespaces::Life life_of(const Instance& instance, const NsIdentity& identity) {
    if (registry::is_set_aside(identity)) return namespaces::Life::kDead;
    auto mark = instance.entries.mark(identity);
    if (mark && *mark != Entries::Mark::kAbsent)
        return *mark == Entries::Mark::kDead ? namespaces::Life::kDead : namespaces::Life::kAlive;
    return instance.prober.probe(identity);
}

Status enter_policy(Instance& instance, const Registration& registration) {
    Status added = add(instance, registration);
    if (added) return {};
    Status left = withdraw_claims(instance, registration);
    if (left) left = leave_policy(instance, registration);
    if (!left) log::warning("{}", left.error().what());
    return added;
}

// Owners first: without one, an id counts as the nearest namespace's of whoever uses it.
Status withdraw_claims(Instance& instance, const Registration& registration) {
    if (registry::is_set_aside(registration.userns)) return {};
    NsInode inode = registration.userns.inode;
    for (Uid start : registration.starts()) {
        auto owner = TRY(instance.entries.owner(start));
        if (owner == inode) TRY(instance.entries.clear_owner(start));
    }
    for (CgroupId cgroup : registration.cgroups) TRY(instance.entries.remove_cgroup(cgroup, inode));
    return {};
}

Status leave_policy(Instance& instance, const Registration& registration) {
    if (registry::is_set_aside(registration.userns)) return {};
    return instance.entries.remove(registration.userns);
}

Status settle_owners(Instance& instance, const Registration& registration) {
    if (!instance.entries.exist()) return {};
    for (const auto& delegate : registration.delegates) {
        auto holder = TRY(innermost_holder(instance, delegate.start));
        TRY(holder ? instance.entries.set_owner(delegate.start, *holder)
                   : instance.entries.clear_owner(delegate.start));
    }
    if (!registration.is_transient()) return {};
    auto holder = TRY(innermost_holder(instance, registration.range->start));
    return holder ? instance.entries.set_owner(registration.range->start, *holder) : Status();
}

Watch watch_over(Instance& instance, const NsIdentity& identity) {
    if (registry::is_set_aside(identity)) return Watch::kComplete;  // it was asked before
    if (!instance.used_set || !instance.entries.exist()) return Watch::kComplete;
    bool is_counted = note_missed_calls(instance);
    auto watched = instance.entries.was_watched(identity);
    // A gap that the manager has not noticed yet.
    auto asked = instance.level == policy::Level::kEnforce ? instance.entries.is_asked() : Result<bool>(true);
    return is_counted && watched && *watched && asked && *asked ? Watch::kComplete : Watch::kGaps;
}

CgroupFiles cgroup_files(const Instance& instance, const NsIdentity& identity) {
    // Not by the level alone: a worker of another one may release what was made while the policy was at work.
    if (instance.level == policy::Level::kNone || !instance.entries.exist()) return CgroupFiles::kOfItsOwn;
    // Of what is set aside the policy knows nothing any more.
    if (registry::is_set_aside(identity)) return CgroupFiles::kOfAny;
    auto files = instance.entries.cgroup_files(identity);
    if (!files) log::warning("Cannot tell which cgroups have files of a namespace: {}", files.error().what());
    return files && *files == Entries::CgroupFiles::kNone ? CgroupFiles::kOfItsOwn : CgroupFiles::kOfAny;
}

Result<std::optional<NsInode>> innermost_holder(const Instance& instance, Uid start, Aside aside) {
    auto counts = [&](const NsIdentity& userns) { return aside == Aside::kToo || !registry::is_set_aside(userns); };
    auto own = TRY(instance.store.find_by_start(start));
    if (own && counts(own->userns)) return std::optional(own->userns.inode);
    auto delegation = TRY(instance.store.find_delegation(start));
    if (!delegation || !counts({delegation->userns, {}})) return std::optional<NsInode>();
    return std::optional(delegation->userns);
}

}  // namespace nsr::lifecycle
