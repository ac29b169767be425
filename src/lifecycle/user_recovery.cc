// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/user_recovery.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/log.h"
#include "lifecycle/accounts.h"

namespace nsr::lifecycle {

namespace {

using Knowledge = ranges::UserTable::Knowledge;

}  // namespace

void UserRecovery::keep(const registry::Registration& registration) {
    for (Uid start : registration.starts()) holdings_.push_back({start, registration.owner, registration.userns.inode});
}

// Of a range that several have, its delegation says who had it first.
void UserRecovery::keep_outermost() {
    std::ranges::stable_sort(holdings_, {}, &Holding::start);
    std::vector<Holding> kept;
    for (size_t i = 0; i < holdings_.size();) {
        auto end = std::ranges::find_if(holdings_.begin() + static_cast<std::ptrdiff_t>(i), holdings_.end(),
                                        [&](const Holding& other) { return other.start != holdings_[i].start; });
        std::span same(&holdings_[i], static_cast<size_t>(end - holdings_.begin()) - i);
        const Holding* outermost = &same.front();
        if (same.size() > 1) {
            auto delegation = instance_.store.find_delegation(same.front().start);
            if (!delegation) log::debug("{}", delegation.error().what());
            if (delegation && *delegation) {
                const auto& ancestors = (*delegation)->ancestors;
                NsInode first = ancestors.empty() ? (*delegation)->userns : ancestors.front();
                auto found = std::ranges::find(same, first, &Holding::userns);
                if (found != same.end()) outermost = &*found;
            }
        }
        kept.push_back(*outermost);
        i += same.size();
    }
    holdings_ = std::move(kept);
}

// Upwards to an owner who is in no range, or in one whose user is known. A circle is possible at levels that use ranges
// again at once: there the uid counts as itself.
void UserRecovery::resolve(const Holding& holding) {
    std::set<Uid> path;
    Uid user = holding.owner;
    for (const Holding* at = &holding; path.insert(at->start).second;) {
        user = instance_.users.user_of(at->owner);
        auto start = ranges::range_start_of(user.value);
        auto above = start ? std::ranges::lower_bound(holdings_, *start, {}, &Holding::start) : holdings_.end();
        if (above == holdings_.end() || above->start != *start) break;
        at = &*above;
    }
    for (Uid start : path) instance_.users.assign(start, user);
}

void UserRecovery::complete() {
    keep_outermost();
    for (const auto& holding : holdings_) {
        // What the table says of an owner in a range was true when the range was recorded, and need not be so now.
        bool is_in_range = instance_.users.user_of(holding.owner) != holding.owner ||
                           ranges::range_start_of(holding.owner.value).has_value();
        if (!is_in_range) instance_.users.assign(holding.start, holding.owner);
    }
    for (const auto& holding : holdings_)
        if (instance_.users.knowledge_of(holding.start) == Knowledge::kUnknown) resolve(holding);
    holdings_ = {};
    // Without the counts users may have more registrations than they should, or fewer, and that stops no service.
    if (auto counted = recount(instance_); !counted)
        log::warning("Cannot count the registrations of each user: {}", counted.error().what());
}

Status forget_unused_ranges(Instance& instance) {
    for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
        auto spent = TRY(instance.used_set->spent(*pool));
        for (uint32_t index = 0; index < pool->count(); ++index)
            if (!spent.test(index)) instance.users.forget(pool->start_of(index));
    }
    return {};
}

}  // namespace nsr::lifecycle
