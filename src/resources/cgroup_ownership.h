// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/dead_ids.h"

namespace nsr::resources {

/// What became of one cgroup.
struct Retaken {
    enum class Change { kNone, kSome };
    Change change = Change::kNone;
    /// The cgroups directly below, which were left as they are.
    std::vector<CgroupId> below;
};

/// Gives to root the directory of a cgroup and whatever files are in it, as far as their uid or gid is one of these,
/// and takes from others the right to write to them. What has other ids keeps owner and mode. Where one of these ids
/// has turned pressure accounting off, which hides files, it is turned on again. EXDEV: something is mounted over a
/// file that would have to change.
Result<Retaken> retake(BorrowedFd cgroup, const DeadIds& ids);

}  // namespace nsr::resources
