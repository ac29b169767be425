// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/stock.h"

#include "base/log.h"
#include "ranges/user_copy.h"

namespace nsr::service {

using ranges::UsedSet;

Result<UsedSet::Supply> supply(const Context& context) {
    if (!context.used_set || context.level != policy::Level::kQuarantine) return UsedSet::Supply::kPlenty;
    if (TRY(context.used_set->supply(ranges::kContainerPool)) == UsedSet::Supply::kLow) return UsedSet::Supply::kLow;
    return context.used_set->supply(ranges::kDynamicPool);
}

// Only the host's files are looked at: services that do not answer must not stop the start or a refill. They are asked
// when a range is handed out.
Status refill(Context& context) {
    for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
        auto judge = [&](Uid start) -> Result<UsedSet::Verdict> {
            if (TRY(context.store.range_taken(start)) == registry::Taken::kTaken) return UsedSet::Verdict::kTaken;
            auto use = TRY(context.host_ids.check_files(start, pool->size, {}));
            return use == ranges::HostIds::Use::kFree ? UsedSet::Verdict::kAcceptable : UsedSet::Verdict::kTaken;
        };
        TRY(context.used_set->refill(*pool, judge));
    }
    // What is not kept is not charged in the next boot, and that is no reason to hand out nothing in this one.
    if (auto saved = ranges::save_users(context.users, context.state_dir.borrow()); !saved)
        log::warning("Cannot keep the table of users for the next boot: {}", saved.error().what());
    return {};
}

Status keep_back(Context& context) {
    return context.used_set ? context.used_set->mark_used(TRY(context.store.taken_starts())) : Status();
}

}  // namespace nsr::service
