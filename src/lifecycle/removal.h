// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "lifecycle/instance.h"

namespace nsr::lifecycle {

/// Takes back the entry in the kernel policy and the record of a registration whose namespace is dead or never got its
/// maps. Can be done again; leaves alone what is another registration's by now.
Status remove(Instance& instance, const registry::Lock& lock, const registry::Registration& registration);
/// The same for one whose ids no process has had: what was taken from the stock goes back there. `forget_source` notes
/// that, before: after a kill in between it is lost until a reclaim, and never given back twice.
Status remove_unused(Instance& instance, const registry::Registration& registration, Source source,
                     const std::function<void()>& forget_source);

/// Ranges of the stock that no process has had the ids of. What cannot be given back is lost until a reclaim; what a
/// registration has is left alone.
void return_to_stock(Instance& instance, std::span<const Uid> starts);

}  // namespace nsr::lifecycle
