// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"

/// Whether the registry is still the one that this instance works on. If another process empties, moves or replaces it,
/// ranges of living namespaces look free; what is known of them elsewhere has to hold them then.
namespace nsr::lifecycle {

/// At the start. If the registry was replaced while the service did not run, the ranges that were taken then stay taken
/// until the next boot.
Status check_home(Instance& instance);

/// While the service runs. ESTALE: the registry was emptied, moved or replaced; no range is given any more, and the
/// manager has to call replace_home().
Status verify_home(const Instance& instance);

/// Goes on with the registry that is there now, or a new one: the ranges that are taken stay taken until the next boot.
/// Workers have to be started anew. `runtime_dir` as in Instance::open().
Status replace_home(Instance& instance, const std::string& runtime_dir);

}  // namespace nsr::lifecycle
