// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/release.h"

namespace nsr::service {

/// kInPart: something may still have ids of the pools, so none of them may be handed out.
enum class Released { kAll, kInPart };

/// Removes the links and cgroups of a registration whose namespace is dead. A cgroup that is busy or large is noted
/// beside the registry, for tidy(): it holds up nothing else, for it is given to root first, with all below it. Can be
/// done again, and goes on where it was.
Released release_resources(Context& context, const registry::Registration& registration);

/// Removes the links that a registration lists.
void remove_links(const registry::Registration& registration);

}  // namespace nsr::service
