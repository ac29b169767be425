// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"

/// What dead workers have left unfinished, as the journal tells. A registration whose namespace has got maps stays,
/// since nothing can take those back, and so does a cgroup that had begun to change hands; everything else goes.
/// A call that changes a registration settles it first, so that no repair undoes what a later call did. Waits for
/// locks: not with the registry lock held.
namespace nsr::lifecycle {

/// Repairs what is left for one namespace. kBusy: another process is repairing it. A call that a live worker is at is
/// not looked at.
enum class Settled { kAll, kBusy };
Result<Settled> settle(Instance& instance, NsInode userns);

/// Repairs all that dead workers have left; the manager asks for it whenever one has died. After an error something is
/// left, and it is to be asked for again.
Status repair(Instance& instance);

}  // namespace nsr::lifecycle
