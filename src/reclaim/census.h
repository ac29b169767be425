// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "reclaim/findings.h"

namespace nsr::reclaim {

/// A namespace that some process is in or has a descriptor of, by its inode number.
struct Namespace {
    UniqueFd fd;
    std::string who;  ///< one of them
};
struct Census {
    std::map<uint64_t, Namespace> mounts, ipcs;
};

/// Looks at all threads of all processes: adds those that run with ids of a range, or could by the id maps of their
/// user namespace, to the findings, and gives the namespaces in which there is more to look at.
Result<Census> take_census(BorrowedFd proc, Findings& findings);

/// Looks at everything that processes have open, or stand in: files that have no name any more can get one again. What
/// lies on a file system of which `is_known` knows neither the mount nor the device is a problem; without it nothing
/// is.
using IsKnown = std::function<bool(uint64_t mount_id, const std::string& device)>;
void look_at_descriptors(BorrowedFd proc, Findings& findings, const IsKnown& is_known,
                         const std::function<void()>& tick);

}  // namespace nsr::reclaim
