// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/repair.h"

#include <algorithm>

#include "base/log.h"
#include "lifecycle/accounts.h"
#include "lifecycle/addition_repair.h"
#include "lifecycle/removal.h"
#include "namespaces/map_files.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;

enum class Mapped { kNo, kYes };

// Whether the namespace has got one of the maps that were about to be written. Where the kernel has no way to look, it
// is taken to have.
Result<Mapped> is_mapped(const Instance& instance, const Registration& registration) {
    auto userns = instance.prober.open(registration.userns);
    if (!userns && userns.error().code() == ENOTSUP) return Mapped::kYes;
    if (!userns) return Failure(std::move(userns).error());
    if (!*userns) return Mapped::kNo;
    auto maps = TRY(namespaces::read_maps(**userns));
    return maps.uids.empty() && maps.gids.empty() ? Mapped::kNo : Mapped::kYes;
}

Status announce(const Instance& instance, const Registration& registration) {
    return instance.announce(registration.userns, registration.owner);
}

Status repair_registration(Instance& instance, const Registration& registration, const Journal::Item& item,
                           Journal::Adoption& adopted) {
    const Step step = item.step;
    if (step == Step::kAnnouncing) return announce(instance, registration);
    if (step == Step::kMapping && TRY(is_mapped(instance, registration)) == Mapped::kYes) {
        log::notice("The registration {} outlives the worker that made it: its maps are written", registration.name);
        return announce(instance, registration);
    }
    TRY(remove_unused(instance, registration, item.source, [&] { adopted.forget_source(); }));
    log::notice("Took back the half-done registration {}", registration.name);
    // The worker may have died just before or after it had counted it; a wrong number is also found when it matters.
    if (auto counted = recount(instance); !counted) log::warning("{}", counted.error().what());
    return {};
}

Status repair_page(Instance& instance, const Journal::Item& item, Journal::Adoption& adopted) {
    auto registration = instance.journal.read(item.page);
    if (!registration) {
        // It will not become better by itself.
        log::error("A half-done call cannot be repaired: {}", registration.error().what());
        return {};
    }
    log::OnBehalfOf owner(registration->owner);
    if (item.step == Step::kDelegating) return repair_delegation(instance, *registration);
    if (item.step == Step::kLinking) return repair_link(instance, *registration);
    return repair_registration(instance, *registration, item, adopted);
}

enum class Outcome { kDone, kNotOurs };

Result<Outcome> adopt_and_repair(Instance& instance, size_t page) {
    auto adopted = instance.journal.adopt(page);
    if (!adopted) return Outcome::kNotOurs;
    // As it is now: another process may have repaired it, and a further one died at a call of its own.
    auto others = instance.journal.others();
    auto item = std::ranges::find(others, page, &Journal::Item::page);
    if (item == others.end()) return Outcome::kDone;
    TRY(repair_page(instance, *item, *adopted));
    adopted->end();
    return Outcome::kDone;
}

}  // namespace

Result<Settled> settle(Instance& instance, NsInode userns) {
    auto settled = Settled::kAll;
    for (const auto& other : instance.journal.others()) {
        bool is_left = other.userns == userns && instance.journal.keeper(other.page) == Journal::Keeper::kDead;
        if (is_left && TRY(adopt_and_repair(instance, other.page)) == Outcome::kNotOurs) settled = Settled::kBusy;
    }
    return settled;
}

Status repair(Instance& instance) {
    Status repaired;
    for (const auto& other : instance.journal.others()) {
        auto outcome = adopt_and_repair(instance, other.page);
        if (!outcome) log::warning("Cannot repair what a dead worker left: {}", outcome.error().what());
        if (!outcome) repaired = Failure(std::move(outcome).error());
        // Another process repairs it, and may fail.
        bool is_left =
            outcome && *outcome == Outcome::kNotOurs && instance.journal.keeper(other.page) == Journal::Keeper::kDead;
        if (is_left) repaired = fail(EBUSY, "another process repairs it");
    }
    auto lock = TRY(instance.store.lock());
    TRY(instance.store.remove_leftovers(lock));
    // A worker that died in a release may have left a bit of a range that is free. But what looks free since another
    // process is just emptying the registry is not.
    auto starts = TRY(instance.store.taken_starts());
    auto home = instance.store.current_home();
    if (home && *home == instance.store.home()) instance.taken.rebuild(starts);
    return repaired;
}

}  // namespace nsr::lifecycle
