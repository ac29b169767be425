// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/stock.h"

#include "base/log.h"
#include "ranges/user_copy.h"

namespace nsr::lifecycle {

using ranges::UsedSet;

Result<UsedSet::Supply> supply(const Instance& instance) {
    if (!instance.used_set || instance.level != policy::Level::kQuarantine) return UsedSet::Supply::kPlenty;
    if (TRY(instance.used_set->supply(ranges::kContainerPool)) == UsedSet::Supply::kLow) return UsedSet::Supply::kLow;
    return instance.used_set->supply(ranges::kDynamicPool);
}

// Only the host's files are looked at: services that do not answer must not stop the start or a refill. They are asked
// when a range is handed out.
Status refill(Instance& instance, ranges::HostFiles& host_files) {
    for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
        auto judge = [&](Uid start) -> Result<UsedSet::Verdict> {
            if (TRY(instance.store.range_taken(start)) == registry::Taken::kTaken) return UsedSet::Verdict::kTaken;
            auto known = TRY(host_files.look(start, pool->size, {}));
            return known.id_known ? UsedSet::Verdict::kTaken : UsedSet::Verdict::kAcceptable;
        };
        TRY(instance.used_set->refill(*pool, judge));
    }
    // What is not kept is not charged in the next boot, and that is no reason to hand out nothing in this one.
    if (auto saved = ranges::save_users(instance.users, instance.state_dir.borrow()); !saved)
        log::warning("Cannot keep the table of users for the next boot: {}", saved.error().what());
    return {};
}

Status keep_back(Instance& instance) {
    return instance.used_set ? instance.used_set->mark_used(TRY(instance.store.taken_starts())) : Status();
}

}  // namespace nsr::lifecycle
