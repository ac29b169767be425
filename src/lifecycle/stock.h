// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"
#include "ranges/host_files.h"

namespace nsr::lifecycle {

/// Whether refill() should be called, when nobody waits for an answer.
Result<ranges::UsedSet::Supply> supply(const Instance& instance);
/// Marks ranges ahead for the level `quarantine`, and keeps for the next boot which user each range names; waits for
/// the disk.
Status refill(Instance& instance, ranges::HostFiles& host_files);

/// Marks all ranges that are taken as used, so that none is handed out again before a reclaim; waits for the disk.
Status keep_back(Instance& instance);

}  // namespace nsr::lifecycle
