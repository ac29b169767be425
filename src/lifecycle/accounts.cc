// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/accounts.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::lifecycle {

namespace {

using ranges::UserTable;
using registry::Registration;

// Those of the ranges that a namespace above has, before they are recorded as another one's, too.
std::vector<Uid> starts_of_others(const Instance& instance, const Registration& registration) {
    std::vector<Uid> starts = registration.starts();
    std::erase_if(starts, [&](Uid start) {
        auto state = instance.store.delegation_taken(start);
        bool is_known = instance.users.knowledge_of(start) == UserTable::Knowledge::kKnown;
        return !is_known || (state && *state == registry::Taken::kFree);
    });
    return starts;
}

// Another registration may have them.
void clear_free_bits(Instance& instance, const Registration& registration) {
    for (Uid start : registration.starts()) {
        auto state = instance.store.range_taken(start);
        if (state && *state == registry::Taken::kFree) instance.taken.clear(start);
    }
}

}  // namespace

// A worker that is killed in between has counted too much rather than too little, which room() finds out. The bits are
// set before the links, and cleared after them: a range whose bit is not set is free.
Status enter_registry(Instance& instance, const registry::Lock& lock, const Registration& registration, Origin origin) {
    Uid user = instance.users.user_of(registration.owner);
    auto kept = origin == Origin::kParent ? starts_of_others(instance, registration) : std::vector<Uid>();
    TRY(instance.users.add_registration(user));
    for (Uid start : registration.starts()) instance.taken.set(start);
    Status added = instance.store.add(lock, registration);
    if (!added) {
        if (added.error().code() == ENOTRECOVERABLE) return added;
        instance.users.remove_registration(user);
        clear_free_bits(instance, registration);
        return added;
    }
    for (Uid start : registration.starts())
        if (std::ranges::find(kept, start) == kept.end()) instance.users.assign(start, user);
    return {};
}

// A delegated range may have gone to another holder, and one in use may lie in a delegated one. The owner's uid may be
// in a range that is another user's by now; the numbers are put right when they matter.
Status leave_registry(Instance& instance, const registry::Lock& lock, const Registration& registration) {
    TRY(instance.store.remove(lock, registration));
    instance.users.remove_registration(instance.users.user_of(registration.owner));
    clear_free_bits(instance, registration);
    return {};
}

namespace {

Result<std::map<Uid, uint32_t>> count_by_user(const Instance& instance) {
    std::map<Uid, uint32_t> counts;
    for (Uid owner : TRY(instance.store.owners())) {
        auto owned = instance.store.owned(owner);
        // What has the name of an owner's directory, and is none, stands for no registrations.
        bool is_none = !owned && (owned.error().code() == ENOTDIR || owned.error().code() == ELOOP);
        if (!owned && !is_none) return Failure(std::move(owned).error());
        if (owned && !owned->empty()) counts[instance.users.user_of(owner)] += static_cast<uint32_t>(owned->size());
    }
    return counts;
}

// At most once a second for all workers together, and with the lock only if the number is wrong: a user who has all
// that it may have must not slow others down by asking for more.
Status correct_count(Instance& instance, Uid user) {
    if (instance.users.take_turn(sys::now_usec()) == UserTable::Turn::kNot) return {};
    auto counts = TRY(count_by_user(instance));
    if (counts[user] >= ranges::kMaxRegistrationsPerUser) return {};
    log::notice("User {} has {} registrations, and not as many as were counted", user, counts[user]);
    return recount(instance);
}

Room room_for(const Instance& instance, Uid user) {
    return instance.users.count_registrations(user) < ranges::kMaxRegistrationsPerUser ? Room::kLeft : Room::kNone;
}

}  // namespace

Result<Room> room(Instance& instance, Uid caller) {
    Uid user = instance.users.user_of(caller);
    if (room_for(instance, user) == Room::kLeft) return Room::kLeft;
    TRY(correct_count(instance, user));
    return room_for(instance, user);
}

Room room(const Instance& instance, const registry::Lock&, Uid caller) {
    return room_for(instance, instance.users.user_of(caller));
}

Status recount(Instance& instance) {
    auto lock = TRY(instance.store.lock());
    std::vector<UserTable::Count> counts;
    for (const auto& [user, registrations] : TRY(count_by_user(instance))) counts.push_back({user, registrations});
    return instance.users.rebuild_counts(counts);
}

// A range names its user before it can be used, and only ranges that were handed out at this level are used up.
Result<Share> share(const Instance& instance, const ranges::Pool& pool, Uid caller, uint32_t wanted) {
    if (wanted == 0 || caller == Uid(0)) return Share::kLeft;
    Uid user = instance.users.user_of(caller);
    uint32_t used = instance.users.count_ranges(pool, user, TRY(instance.used_set->spent(pool)));
    if (used + wanted <= ranges::share_of(pool)) return Share::kLeft;
    log::warning(
        "User {} (uid {}) asks for {} more ranges of size {}, and has used up {} of the {} that one user may have: "
        "free some with 'nsresourcectl reclaim'",
        user, caller, wanted, pool.size, used, ranges::share_of(pool));
    return Share::kUsedUp;
}

}  // namespace nsr::lifecycle
