// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"
#include "manager/kernel_side.h"
#include "manager/options.h"

/// What is done before the first client is served.
namespace nsr::manager {

/// The directories, and the lock that keeps a second instance away from them.
struct Premises {
    UniqueFd runtime, state;
    UniqueFd manager_lock;   ///< the manager's own
    UniqueFd instance_lock;  ///< shared with its workers
};
/// EBUSY if another instance, or a worker of one, is still there after some seconds.
Result<Premises> enter_premises(const Options& options);

/// Notes which ranges were used before this boot, which only the first start in a boot can tell; see
/// ranges::UsedBefore.
Status begin_boot(const Premises& premises, policy::Level level);

/// After the last worker has ended: what the next start can do without is given back, and what it needs is kept.
Status leave_state(lifecycle::Instance& context, const KernelSide& kernel);

}  // namespace nsr::manager
