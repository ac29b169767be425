// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/release.h"

#include "base/log.h"
#include "base/sys.h"
#include "namespaces/map_files.h"
#include "service/accounts.h"
#include "service/addition.h"
#include "service/policy_entries.h"
#include "service/release_resources.h"

namespace nsr::service {

namespace {

using registry::Registration;

/// For links and cgroups of a registration that holds no range, and so is not set aside.
constexpr uint64_t kPatienceUsec = 1'000'000;

enum class Mapped { kNo, kYes };

// Whether the namespace of a half-done call has ids by now. Where the kernel has no way to look, or cannot tell at
// present whether it is dead, it is taken to have.
Result<Mapped> is_mapped(const Context& context, const Registration& registration) {
    // The entry comes before the maps.
    bool was_entered = TRY(context.entries.mark(registration.userns)) != policy::Entries::Mark::kAbsent;
    if (context.entries.are_complete() && !was_entered) return Mapped::kNo;
    auto userns = context.prober.open(registration.userns);
    if (!userns && (userns.error().code() == ENOTSUP || userns.error().code() == EAGAIN)) return Mapped::kYes;
    if (!userns) return Failure(std::move(userns).error());
    if (!*userns) return Mapped::kNo;
    auto maps = TRY(namespaces::read_maps(**userns));
    return maps.uids.empty() && maps.gids.empty() ? Mapped::kNo : Mapped::kYes;
}

}  // namespace

Status remove(Context& context, const Registration& registration) {
    TRY(forget_release(context, registration));
    auto lock = TRY(context.store.lock());
    TRY(withdraw_claims(context, registration));
    TRY(leave_registry(context, lock, registration));
    TRY(leave_policy(context, registration));
    return settle_owners(context, registration);
}

namespace {

// While the policy still knows of the namespace.
Status mark_unwatched(Context& context, const Registration& registration) {
    if (watch_over(context, registration.userns) == Watch::kComplete) return {};
    log::info("Ranges of {} are kept back until a reclaim: something may have got past the kernel policy",
              registration.name);
    return context.used_set->mark_used(registration.starts());
}

Status remove_released(Context& context, ReleaseTurn& turn, const Registration& registration) {
    TRY(mark_unwatched(context, registration));
    TRY(remove(context, registration));
    turn.owned_cgroups().forget(registration);
    log::debug("Released {}, user namespace {}", registration.name, registration.userns.inode);
    return {};
}

// The kernel gives the inode number to the next namespace that is made, which may be a stranger's. The manager hears of
// the new record before the old one goes, so that one of the two is always followed up.
Status set_aside(Context& context, ReleaseTurn& turn, const Registration& registration) {
    TRY(mark_unwatched(context, registration));
    TRY(forget_release(context, registration));
    auto lock = TRY(context.store.lock());
    TRY(withdraw_claims(context, registration));
    auto aside = TRY(context.store.set_aside(lock, registration));
    context.announce(aside.userns, aside.owner);
    TRY(context.store.remove(lock, registration));
    TRY(leave_policy(context, registration));
    turn.owned_cgroups().forget(registration);
    log::info("The release of {} takes longer: not all of its cgroups are taken back yet", registration.name);
    return {};
}

bool gives_way(const Registration& registration, LongRelease how) {
    return how == LongRelease::kGivesWay && !registration.starts().empty() &&
           !registry::is_set_aside(registration.userns);
}

// Without a word of its death it may be alive, or another worker may just have released it: only in a turn is that
// certain.
Result<TurnOutcome> release_in_turn(Context& context, ReleaseTurn& turn, const NsIdentity& identity,
                                    std::string_view name, LongRelease how) {
    // Another worker may have released it meanwhile, and somebody else have its name, and links of the same names, by
    // now; or its inode number, which is all that some kernels know a namespace by.
    auto current = TRY(context.store.find_by_inode(identity.inode));
    if (!current || current->userns != identity) return TurnOutcome::kGone;
    if (life_of(context, current->userns) != namespaces::Life::kDead)
        return name.empty() || current->name == name ? TurnOutcome::kNotNow : TurnOutcome::kGone;
    log::OnBehalfOf owner(current->owner);
    // Without the registry's own lock: this may take a while.
    if (release_links(turn, *current) == Released::kInPart) return TurnOutcome::kMore;
    // What was set aside has the cgroups, too. Its ranges, and ids in the cgroups, may be another's by now.
    auto ranges = TRY(context.store.ranges_of(*current));
    bool all_elsewhere = ranges == registry::Store::Ranges::kElsewhere;
    auto cgroups = all_elsewhere ? Released::kAll : release_cgroups(context, turn, *current);
    if (cgroups != Released::kAll && !gives_way(*current, how))
        return cgroups == Released::kInPart ? TurnOutcome::kMore : TurnOutcome::kNotNow;
    if (!all_elsewhere) TRY(release_core_files(context, *current));
    TRY(cgroups == Released::kAll ? remove_released(context, turn, *current) : set_aside(context, turn, *current));
    return TurnOutcome::kGone;
}

}  // namespace

Result<TurnOutcome> release_in_turn(Context& context, ReleaseTurn& turn, const NsIdentity& identity) {
    return release_in_turn(context, turn, identity, {}, LongRelease::kGoesOn);
}

// Others get their turns in between. What may be a stranger's gets one.
Result<Holder> release_if_dead(Context& context, const Registration& registration, LongRelease how) {
    if (life_of(context, registration.userns) == namespaces::Life::kAlive) return Holder::kAlive;
    uint64_t end_usec = sys::now_usec() + (how == LongRelease::kGivesWay ? kPatienceUsec : 0);
    for (;;) {
        auto turn = TRY(ReleaseTurn::begin(context));
        auto outcome = TRY(release_in_turn(context, turn, registration.userns, registration.name, how));
        if (outcome == TurnOutcome::kGone) return Holder::kGone;
        if (outcome == TurnOutcome::kNotNow) return Holder::kAlive;
        if (sys::now_usec() >= end_usec) return Holder::kAlive;
    }
}

namespace {

// A link or cgroup of a call that was cut short.
Status repair_addition(Context& context, pid_t writer) {
    auto added = TRY(context.store.read_addition(writer));
    if (!added) return {};
    log::OnBehalfOf owner(added->owner);
    auto releasing = TRY(context.store.lock_releases());
    // By now the namespace may be dead, and its name, and the names of its links, somebody else's.
    auto current = TRY(context.store.find_by_inode(added->userns.inode));
    if (current && current->userns == added->userns) remove_links(*added);
    log::notice("Settling a half-done addition to {}", added->name);
    return settle(context, std::move(*added));
}

}  // namespace

Result<Repaired> repair(Context& context, pid_t writer) {
    TRY(repair_addition(context, writer));
    auto registration = TRY(context.store.read_pending(writer));
    if (registration) {
        log::OnBehalfOf owner(registration->owner);
        // A namespace that was only to be registered had its maps before; nobody has been told that it is registered.
        if (registration->range && TRY(is_mapped(context, *registration)) == Mapped::kYes) {
            log::notice("The registration {} outlives the worker that made it: its maps are written",
                        registration->name);
            context.announce(registration->userns, registration->owner);
        } else {
            TRY(remove(context, *registration));
            log::notice("Took back the half-done registration {}", registration->name);
        }
    }
    TRY(context.store.drop_pending(writer));
    return registration ? Repaired::kSomething : Repaired::kNothing;
}

}  // namespace nsr::service
