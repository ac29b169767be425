// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/policy_entries.h"

#include "base/log.h"

namespace nsr::service {

namespace {

using policy::Entries;
using registry::Registration;

// Whoever was given ids of others may drop groups as they could; `type: self` may not (interface.md section 2).
Entries::Setgroups setgroups_of(const Registration& registration) {
    if (!registration.range) return Entries::Setgroups::kUnchanged;
    bool denied = registration.setgroups == Registration::Setgroups::kDenied;
    return denied ? Entries::Setgroups::kDenied : Entries::Setgroups::kAllowed;
}

Status add(Context& context, const Registration& registration) {
    // A worker that began before the manager noticed the gap: the range would be free again after a reboot.
    if (context.level == policy::Level::kEnforce && TRY(context.entries.is_in_gap()))
        return fail(EAGAIN, "the kernel does not run the policy at present");
    TRY(context.entries.add(registration.userns, setgroups_of(registration)));
    for (Uid start : registration.starts()) TRY(context.entries.set_owner(start, registration.userns.inode));
    return {};
}

bool note_missed_calls(Context& context) {
    if (!context.missed_calls.are_possible()) return true;
    auto count = context.missed_calls.count();
    Status noted = count ? context.entries.note_missed(*count) : Failure(std::move(count).error());
    if (!noted) log::warning("Cannot count the calls that the kernel policy missed: {}", noted.error().what());
    return noted.has_value();
}

}  // namespace

namespaces::Life life_of(const Context& context, const NsIdentity& identity) {
    if (registry::is_set_aside(identity)) return namespaces::Life::kDead;
    auto mark = context.entries.mark(identity);
    if (mark && *mark != Entries::Mark::kAbsent)
        return *mark == Entries::Mark::kDead ? namespaces::Life::kDead : namespaces::Life::kAlive;
    return context.prober.probe(identity);
}

Status enter_policy(Context& context, const Registration& registration) {
    Status added = add(context, registration);
    if (added) return {};
    Status left = withdraw_claims(context, registration);
    if (left) left = leave_policy(context, registration);
    if (!left) log::warning("{}", left.error().what());
    return added;
}

// Owners first: without one, an id counts as the nearest namespace's of whoever uses it.
Status withdraw_claims(Context& context, const Registration& registration) {
    if (registry::is_set_aside(registration.userns)) return {};
    NsInode inode = registration.userns.inode;
    for (Uid start : registration.starts()) {
        auto owner = TRY(context.entries.owner(start));
        if (owner == inode) TRY(context.entries.clear_owner(start));
    }
    for (CgroupId cgroup : registration.cgroups) TRY(context.entries.remove_cgroup(cgroup, inode));
    return {};
}

Status leave_policy(Context& context, const Registration& registration) {
    if (registry::is_set_aside(registration.userns)) return {};
    return context.entries.remove(registration.userns);
}

Status settle_owners(Context& context, const Registration& registration) {
    if (!context.entries.exist()) return {};
    for (const auto& delegate : registration.delegates) {
        auto holder = TRY(innermost_holder(context, delegate.start));
        TRY(holder ? context.entries.set_owner(delegate.start, *holder) : context.entries.clear_owner(delegate.start));
    }
    if (!registration.is_transient()) return {};
    auto holder = TRY(innermost_holder(context, registration.range->start));
    return holder ? context.entries.set_owner(registration.range->start, *holder) : Status();
}

Watch watch_over(Context& context, const NsIdentity& identity) {
    if (registry::is_set_aside(identity)) return Watch::kComplete;  // it was asked before
    if (!context.used_set || !context.entries.exist()) return Watch::kComplete;
    bool is_counted = note_missed_calls(context);
    auto watched = context.entries.was_watched(identity);
    // A gap that the manager has not noticed yet.
    auto asked = context.level == policy::Level::kEnforce ? context.entries.is_asked() : Result<bool>(true);
    return is_counted && watched && *watched && asked && *asked ? Watch::kComplete : Watch::kGaps;
}

CgroupFiles cgroup_files(const Context& context, const NsIdentity& identity) {
    // Not by the level alone: a worker of another one may release what was made while the policy was at work.
    if (context.level == policy::Level::kNone || !context.entries.exist()) return CgroupFiles::kOfItsOwn;
    // Of what is set aside the policy knows nothing any more.
    if (registry::is_set_aside(identity)) return CgroupFiles::kOfAny;
    auto files = context.entries.cgroup_files(identity);
    if (!files) log::warning("Cannot tell which cgroups have files of a namespace: {}", files.error().what());
    return files && *files == Entries::CgroupFiles::kNone ? CgroupFiles::kOfItsOwn : CgroupFiles::kOfAny;
}

Result<std::optional<NsInode>> innermost_holder(const Context& context, Uid start) {
    auto own = TRY(context.store.find_by_start(start));
    if (own && !registry::is_set_aside(own->userns)) return std::optional(own->userns.inode);
    auto delegation = TRY(context.store.find_delegation(start));
    if (!delegation || registry::is_set_aside({delegation->userns, {}})) return std::optional<NsInode>();
    return std::optional(delegation->userns);
}

}  // namespace nsr::service
