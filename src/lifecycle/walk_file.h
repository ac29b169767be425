// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "resources/cgroup_tree.h"

/// Where a walk through cgroups stands, kept in a file from one turn to the next: the workers take turns, and one may
/// end at any time.
namespace nsr::lifecycle {

/// Empty: it has not begun, or there is no such file.
Result<resources::CgroupWalk> read_walk(BorrowedFd dir, const std::string& path);
/// The file has the old content or the new one.
Status write_walk(BorrowedFd dir, const std::string& path, const resources::CgroupWalk& walk);
/// No error where there is none.
Status remove_walk(BorrowedFd dir, const std::string& path);

}  // namespace nsr::lifecycle
