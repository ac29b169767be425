// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "namespaces/map_files.h"
#include "service/allocation_request.h"
#include "service/parent_view.h"

namespace nsr::service {

/// The two maps that a registration stands for, as the namespace above calls the ids.
namespaces::Maps maps_of(const registry::Registration& registration, const AllocationRequest& request,
                         const ParentView& parent);

/// System EINVAL. The kernel would say so, but of the second map only when the first is written and cannot be taken
/// back.
OrFault<void> require_disjoint_lines(const namespaces::Maps& maps);

/// Writes one after the other.
Status write_maps(namespaces::MapFiles& files, const namespaces::Maps& maps);

}  // namespace nsr::service
