// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/dead_ids.h"

namespace nsr::resources {

/// Gives to root the directory of a cgroup and whatever files are in it, as far as their uid or gid is one of these,
/// and takes from others the right to write to them. What has other ids keeps owner and mode. Where one of these ids
/// has turned pressure accounting off, which hides files, it is turned on again. EXDEV: something is mounted over a
/// file that would have to change. Gives the cgroups directly below, which are left as they are.
Result<std::vector<CgroupId>> retake(BorrowedFd cgroup, const DeadIds& ids);

}  // namespace nsr::resources
