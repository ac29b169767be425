// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/sys.h"
#include "lifecycle/instance.h"
#include "lifecycle/owned_cgroups.h"

namespace nsr::lifecycle {

/// One turn of releases. They exclude each other by a lock, which is held for as long as this lives; so one user's
/// releases, however large, hold up another's for a turn at a time.
class ReleaseTurn {
public:
    /// Waits for those before it: the time counts from the moment when it is this one's turn.
    static Result<ReleaseTurn> begin(const Instance& instance) {
        auto lock = TRY(instance.store.lock_releases());
        return ReleaseTurn(std::move(lock), sys::now_usec() + kTurnUsec);
    }

    /// To be looked at after some work was done, so that each turn comes forward.
    bool is_over() const { return sys::now_usec() >= end_usec_; }
    uint64_t end_usec() const { return end_usec_; }
    OwnedCgroups& owned_cgroups() { return owned_cgroups_; }

private:
    static constexpr uint64_t kTurnUsec = 25'000;

    ReleaseTurn(registry::Lock lock, uint64_t end_usec) : lock_(std::move(lock)), end_usec_(end_usec) {}

    registry::Lock lock_;
    uint64_t end_usec_;
    OwnedCgroups owned_cgroups_;
};

}  // namespace nsr::lifecycle
