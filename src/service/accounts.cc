// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/accounts.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::service {

namespace {

using ranges::UserTable;
using registry::Registration;

// Those of the ranges that a namespace above has, before they are recorded as another one's, too.
std::vector<Uid> starts_of_others(const Context& context, const Registration& registration) {
    std::vector<Uid> starts = registration.starts();
    std::erase_if(starts, [&](Uid start) {
        auto state = context.store.delegation_taken(start);
        bool is_known = context.users.knowledge_of(start) == UserTable::Knowledge::kKnown;
        return !is_known || (state && *state == registry::Taken::kFree);
    });
    return starts;
}

}  // namespace

// A worker that is killed in between has counted too much rather than too little, which require_room() finds out.
Status enter_registry(Context& context, const registry::Lock& lock, const Registration& registration, Origin origin) {
    Uid user = context.users.user_of(registration.owner);
    auto kept = origin == Origin::kParent ? starts_of_others(context, registration) : std::vector<Uid>();
    TRY(context.users.add_registration(user));
    Status added = context.store.add(lock, registration, context.writer);
    if (!added) {
        context.users.remove_registration(user);
        return added;
    }
    for (Uid start : registration.starts()) {
        if (std::ranges::find(kept, start) == kept.end()) context.users.assign(start, user);
        context.taken.set(start);
    }
    return {};
}

// A delegated range may have gone to another holder, and one in use may lie in a delegated one. The owner's uid may be
// in a range that is another user's by now; the numbers are put right when they matter.
Status leave_registry(Context& context, const registry::Lock& lock, const Registration& registration) {
    TRY(context.store.remove(lock, registration));
    context.users.remove_registration(context.users.user_of(registration.owner));
    for (Uid start : registration.starts()) {
        auto state = context.store.range_taken(start);
        if (state && *state == registry::Taken::kFree) context.taken.clear(start);
    }
    return {};
}

namespace {

Result<std::map<Uid, uint32_t>> count_by_user(const Context& context) {
    std::map<Uid, uint32_t> counts;
    for (Uid owner : TRY(context.store.owners())) {
        auto owned = context.store.owned(owner);
        // What has the name of an owner's directory, and is none, stands for no registrations.
        if (!owned) log::debug("registry: {}", owned.error().what());
        if (owned && !owned->empty()) counts[context.users.user_of(owner)] += static_cast<uint32_t>(owned->size());
    }
    return counts;
}

// At most once a second for all workers together, and with the lock only if the number is wrong: a user who has all
// that it may have must not slow others down by asking for more.
Status correct_count(Context& context, Uid user) {
    if (context.users.take_turn(sys::now_usec()) == UserTable::Turn::kNot) return {};
    auto counts = TRY(count_by_user(context));
    if (counts[user] >= ranges::kMaxRegistrationsPerUser) return {};
    log::notice("User {} has {} registrations, and not as many as were counted", user, counts[user]);
    return recount(context);
}

OrFault<void> require_room_for(const Context& context, Uid user) {
    if (context.users.count_registrations(user) < ranges::kMaxRegistrationsPerUser) return {};
    return Refusal(varlink::system_error(EUSERS));
}

}  // namespace

OrFault<void> require_room(Context& context, Uid caller) {
    Uid user = context.users.user_of(caller);
    if (require_room_for(context, user)) return {};
    TRY_SYSTEM(correct_count(context, user));
    return require_room_for(context, user);
}

OrFault<void> require_room(const Context& context, const registry::Lock&, Uid caller) {
    return require_room_for(context, context.users.user_of(caller));
}

Status recount(Context& context) {
    auto lock = TRY(context.store.lock());
    std::vector<UserTable::Count> counts;
    for (const auto& [user, registrations] : TRY(count_by_user(context))) counts.push_back({user, registrations});
    return context.users.rebuild_counts(counts);
}

// A range names its user before it can be used, and only ranges that were handed out at this level are used up.
Result<Share> share(const Context& context, const ranges::Pool& pool, Uid caller, uint32_t wanted) {
    if (wanted == 0 || caller == Uid(0)) return Share::kLeft;
    Uid user = context.users.user_of(caller);
    uint32_t used = context.users.count_ranges(pool, user, TRY(context.used_set->spent(pool)));
    if (used + wanted <= ranges::share_of(pool)) return Share::kLeft;
    log::warning(
        "User {} (uid {}) asks for {} more ranges of size {}, and has used up {} of the {} that one user may have: "
        "free some with 'nsresourcectl reclaim'",
        user, caller, wanted, pool.size, used, ranges::share_of(pool));
    return Share::kUsedUp;
}

}  // namespace nsr::service
