// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>

#include "base/result.h"

namespace nsr::manager {

/// What the limit on descriptors leaves room for. Neither of the two can take what the other one, or the manager
/// itself, needs.
struct DescriptorShares {
    size_t connections = 0;
    size_t pins = 0;  ///< mounts that are kept, and copies of them that the service manager has not taken yet

    static DescriptorShares of_limit(size_t limit);
};

/// Raises the limit as far as it goes, and shares it out.
Result<DescriptorShares> share_descriptors();

}  // namespace nsr::manager
