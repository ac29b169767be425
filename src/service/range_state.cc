// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/range_state.h"

#include "lifecycle/release.h"

namespace nsr::service {

namespace {

using registry::Taken;

// What stands between a child of the parent and the range.
struct Obstacle {
    Taken state = Taken::kTaken;
    /// The registration that has the range, if it is known.
    std::optional<registry::Registration> holder;
};

// By the identity, not the inode number alone, which a stranger may have by now. Older records, and older kernels, know
// no id.
bool may_be_same(const NsIdentity& a, const NsIdentity& b) {
    return a.inode == b.inode && (a.id == b.id || a.id.value == 0 || b.id.value == 0);
}

Result<Obstacle> find_obstacle(const Context& context, const ParentView& parent, Uid start) {
    if (TRY(context.store.range_taken(start)) == Taken::kFree) return Obstacle{Taken::kFree, {}};
    // A record that cannot be read still says that the range is in use.
    auto own = context.store.find_by_start(start);
    if (!own) return Obstacle{};
    if (*own) return Obstacle{Taken::kTaken, std::move(*own)};
    auto delegation = context.store.find_delegation(start);
    if (!delegation || !*delegation) return Obstacle{};
    auto holder = context.store.find_by_inode((*delegation)->userns);
    if (!holder || !*holder) return Obstacle{};
    if (!parent.is_own() && may_be_same((*holder)->userns, parent.userns().identity()))
        return Obstacle{Taken::kFree, {}};
    return Obstacle{Taken::kTaken, std::move(*holder)};
}

}  // namespace

Result<Taken> range_state(const Context& context, const ParentView& parent, Uid start) {
    auto obstacle = TRY(find_obstacle(context, parent, start));
    return obstacle.state;
}

Result<Taken> range_state_after_release(Context& context, const ParentView& parent, Uid start, Uid caller) {
    Uid user = context.users.user_of(caller);
    for (;;) {
        auto obstacle = TRY(find_obstacle(context, parent, start));
        if (obstacle.state == Taken::kFree) return Taken::kFree;
        if (!obstacle.holder) return Taken::kTaken;
        bool is_helped = !parent.is_own() || context.users.user_of(obstacle.holder->owner) == user;
        if (!is_helped) return Taken::kTaken;
        // Each round releases one registration, so this ends.
        auto holder = TRY(lifecycle::release_if_dead(context, *obstacle.holder, lifecycle::LongRelease::kGoesOn));
        if (holder == lifecycle::Holder::kAlive) return Taken::kTaken;
    }
}

}  // namespace nsr::service
