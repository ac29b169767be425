// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"

/// What a worker that died has left of a cgroup or link that was about to be added to a registration; `added` lists it.
namespace nsr::lifecycle {

/// Who had the cgroup before is not known, so one that had begun to change hands is handed over to the end, and
/// recorded; it is removed with its namespace.
Status repair_delegation(Instance& instance, const registry::Registration& added);
/// A link that is not recorded is removed.
Status repair_link(Instance& instance, const registry::Registration& added);

}  // namespace nsr::lifecycle
