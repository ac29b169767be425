// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/removal.h"

#include "base/log.h"
#include "lifecycle/accounts.h"
#include "lifecycle/policy_entries.h"

namespace nsr::lifecycle {

Status remove(Instance& instance, const registry::Lock& lock, const registry::Registration& registration) {
    TRY(withdraw_claims(instance, registration));
    TRY(leave_registry(instance, lock, registration));
    TRY(leave_policy(instance, registration));
    return settle_owners(instance, registration);
}

Status remove_unused(Instance& instance, const registry::Registration& registration, Source source,
                     const std::function<void()>& forget_source) {
    {
        auto lock = TRY(instance.store.lock());
        TRY(remove(instance, lock, registration));
        forget_source();
    }
    // Without the registry lock: the stock has one of its own, which is also held while the disk is waited for.
    if (source == Source::kStock) return_to_stock(instance, registration.starts());
    return {};
}

void return_to_stock(Instance& instance, std::span<const Uid> starts) {
    if (!instance.used_set) return;
    for (Uid start : starts) {
        auto state = instance.store.range_taken(start);
        if (!state || *state == registry::Taken::kTaken) continue;
        // They are this call's alone until they are back, so that they can only name its caller, if any user.
        instance.users.forget(start);
        if (auto returned = instance.used_set->return_unused(start); !returned)
            log::warning("Range {} is lost until it is reclaimed: {}", start, returned.error().what());
    }
}

}  // namespace nsr::lifecycle
