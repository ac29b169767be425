// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::manager {

/// What the service manager passed (sd_listen_fds(3), interface.md section 7).
struct PassedDescriptors {
    UniqueFd listening;  ///< none: make one
    std::vector<std::pair<NsInode, UniqueFd>> mounts;
};

/// EINVAL for more than one listening stream socket. What nothing is known about is closed, with a warning.
Result<PassedDescriptors> take_passed_descriptors();

}  // namespace nsr::manager
