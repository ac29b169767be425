// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/context.h"

namespace nsr::service {

/// Whether refill() should be called, when nobody waits for an answer.
Result<ranges::UsedSet::Supply> supply(const Context& context);
/// Marks ranges ahead for the level `quarantine`, and keeps for the next boot which user each range names; waits for
/// the disk.
Status refill(Context& context);

/// Marks all ranges that are taken as used, so that none is handed out again before a reclaim; waits for the disk.
Status keep_back(Context& context);

}  // namespace nsr::service
