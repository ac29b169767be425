// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/release.h"

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/policy_entries.h"
#include "lifecycle/release_resources.h"
#include "lifecycle/removal.h"
#include "lifecycle/repair.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;

/// For links and cgroups of a registration that holds no range, and so is not set aside.
constexpr uint64_t kPatienceUsec = 1'000'000;

// While the policy still knows of the namespace.
Status mark_unwatched(Instance& instance, const Registration& registration) {
    if (watch_over(instance, registration.userns) == Watch::kComplete) return {};
    log::info("Ranges of {} are kept back until a reclaim: something may have got past the kernel policy",
              registration.name);
    return instance.used_set->mark_used(registration.starts());
}

Status remove_released(Instance& instance, ReleaseTurn& turn, const Registration& registration) {
    TRY(mark_unwatched(instance, registration));
    TRY(forget_release(instance, registration));
    auto lock = TRY(instance.store.lock());
    TRY(remove(instance, lock, registration));
    turn.owned_cgroups().forget(registration);
    log::debug("Released {}, user namespace {}", registration.name, registration.userns.inode);
    return {};
}

// The kernel gives the inode number to the next namespace that is made, which may be a stranger's. The manager hears of
// the new record before the old one goes, so that one of the two is always followed up.
Status set_aside(Instance& instance, ReleaseTurn& turn, const Registration& registration) {
    TRY(mark_unwatched(instance, registration));
    TRY(forget_release(instance, registration));
    auto lock = TRY(instance.store.lock());
    TRY(withdraw_claims(instance, registration));
    auto aside = TRY(instance.store.set_aside(lock, registration));
    TRY(instance.announce(aside.userns, aside.owner));
    TRY(instance.store.remove(lock, registration));
    TRY(leave_policy(instance, registration));
    turn.owned_cgroups().forget(registration);
    log::info("The release of {} takes longer: not all of its cgroups are taken back yet", registration.name);
    return {};
}

bool gives_way(const Registration& registration, LongRelease how) {
    return how == LongRelease::kGivesWay && !registration.starts().empty() &&
           !registry::is_set_aside(registration.userns);
}

// Who has the ranges since set_aside() was cut short: the manager may not have heard of that record.
Status announce_holder(const Instance& instance, const Registration& registration) {
    std::optional<NsInode> inode;
    for (Uid start : registration.starts())
        if (!inode) inode = TRY(innermost_holder(instance, start, Aside::kToo));
    auto holder = inode ? TRY(instance.store.find_by_inode(*inode)) : std::nullopt;
    bool is_aside = holder && registry::is_set_aside(holder->userns);
    return is_aside ? instance.announce(holder->userns, holder->owner) : Status();
}

// Without a word of its death it may be alive, or another worker may just have released it: only in a turn is that
// certain.
Result<TurnOutcome> release_in_turn(Instance& instance, ReleaseTurn& turn, const NsIdentity& identity,
                                    std::string_view name, LongRelease how) {
    // What a dead worker was about to add to it has to be in the record, or gone, before the record goes.
    if (TRY(settle(instance, identity.inode)) == Settled::kBusy) return TurnOutcome::kNotNow;
    // Another worker may have released it meanwhile, and somebody else have its name, and links of the same names, by
    // now; or its inode number, which is all that some kernels know a namespace by.
    auto current = TRY(instance.store.find_by_inode(identity.inode));
    if (!current || current->userns != identity) return TurnOutcome::kGone;
    if (life_of(instance, current->userns) != namespaces::Life::kDead)
        return name.empty() || current->name == name ? TurnOutcome::kNotNow : TurnOutcome::kGone;
    log::OnBehalfOf owner(current->owner);
    // Without the registry's own lock: this may take a while.
    auto links = release_links(turn, *current);
    if (links != Released::kAll) return links == Released::kInPart ? TurnOutcome::kMore : TurnOutcome::kNotNow;
    // What was set aside has the cgroups, too. Its ranges, and ids in the cgroups, may be another's by now.
    auto ranges = TRY(instance.store.ranges_of(*current));
    bool all_elsewhere = ranges == registry::Store::Ranges::kElsewhere;
    auto cgroups = all_elsewhere ? Released::kAll : release_cgroups(instance, turn, *current);
    if (cgroups != Released::kAll && !gives_way(*current, how))
        return cgroups == Released::kInPart ? TurnOutcome::kMore : TurnOutcome::kNotNow;
    TRY(all_elsewhere ? announce_holder(instance, *current) : release_core_files(instance, *current));
    TRY(cgroups == Released::kAll ? remove_released(instance, turn, *current) : set_aside(instance, turn, *current));
    return TurnOutcome::kGone;
}

}  // namespace

Result<TurnOutcome> release_in_turn(Instance& instance, ReleaseTurn& turn, const NsIdentity& identity) {
    return release_in_turn(instance, turn, identity, {}, LongRelease::kGoesOn);
}

// Others get their turns in between. What may be a stranger's gets one.
Result<Holder> release_if_dead(Instance& instance, const Registration& registration, LongRelease how) {
    if (life_of(instance, registration.userns) == namespaces::Life::kAlive) return Holder::kAlive;
    uint64_t end_usec = sys::now_usec() + (how == LongRelease::kGivesWay ? kPatienceUsec : 0);
    for (;;) {
        auto turn = TRY(ReleaseTurn::begin(instance));
        auto outcome = TRY(release_in_turn(instance, turn, registration.userns, registration.name, how));
        if (outcome == TurnOutcome::kGone) return Holder::kGone;
        if (outcome == TurnOutcome::kNotNow) return Holder::kAlive;
        if (sys::now_usec() >= end_usec) return Holder::kAlive;
    }
}

}  // namespace nsr::lifecycle
