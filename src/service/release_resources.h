// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/release.h"

namespace nsr::service {

/// Removes the links and cgroups of a registration whose namespace is dead. A cgroup that is busy is noted beside the
/// registry, for tidy(): it holds up nothing else. Can be done again.
void release_resources(Context& context, const registry::Registration& registration);

/// Removes the links that a registration lists.
void remove_links(const registry::Registration& registration);

}  // namespace nsr::service
