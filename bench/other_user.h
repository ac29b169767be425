// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "instance.h"
#include "samples.h"

namespace nsr::bench {

/// What calls of one user take, each on a fresh connection.
struct Calls {
    Samples lookups, allocations;
    size_t failed = 0;
};

/// A call that fails counts as if it had taken as long as a caller has patience.
inline constexpr uint64_t kPatienceUsec = 5'000'000;

/// Measures so many GetMemberships and then AllocateUserRange of a new user, or as many as there is time for. What was
/// allocated is dead when this returns.
Result<Calls> measure_other_user(const Instance& instance, size_t lookups, size_t allocations);

/// Waits until look-ups are answered at once again. ETIMEDOUT.
Status wait_until_calm(const Instance& instance);

}  // namespace nsr::bench
