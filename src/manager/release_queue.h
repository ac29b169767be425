// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/types.h"

namespace nsr::manager {

/// Dead namespaces that wait for their release, in turn by user: however many one user has, and however large they are,
/// another user's wait for one turn of each of the others. Holds no more than are registered: each is added once until
/// its release has ended.
class ReleaseQueue {
public:
    /// What one worker is given at a time, all of one user. It does what it can in one turn.
    struct Turn {
        Uid user;
        std::vector<NsIdentity> namespaces;
        int attempts = 0;
    };

    /// `user_of` says which user the owner of a registration counts as.
    explicit ReleaseQueue(std::function<Uid(Uid owner)> user_of) : user_of_(std::move(user_of)) {}

    void add(const NsIdentity& identity, Uid owner);
    /// The turn has ended before these: they wait for the user's next one, behind the others of that user.
    void put_back(const Turn& turn, std::span<const NsIdentity> unfinished);
    /// No worker has survived the turn: each of its namespaces is tried alone, since one that no worker survives must
    /// not keep others from being released.
    void retry(const Turn& turn);

    bool empty() const { return order_.empty(); }
    /// For the user who waits longest; not of an empty queue.
    Turn next();

private:
    struct Item {
        NsIdentity identity;
        int attempts;
    };

    void push(Uid user, Item item);

    std::function<Uid(Uid)> user_of_;
    std::unordered_map<Uid, std::deque<Item>> waiting_;  ///< of each in `order_`, and none is empty
    std::deque<Uid> order_;
};

}  // namespace nsr::manager
