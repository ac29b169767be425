// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::resources {

/// The root of the whole tree: the first number that kernfs gives out (fs/kernfs/dir.c).
inline constexpr CgroupId kTreeRoot(1);

/// Opens a file of a directory that a caller may have reached through a mount namespace of its own. EXDEV: the name
/// leads to another mount; ELOOP: it is a symbolic link (openat2(2), RESOLVE_NO_XDEV and RESOLVE_NO_SYMLINKS).
Result<UniqueFd> open_within_mount(BorrowedFd dir, const std::string& name, int flags);

/// The id of the cgroup that an open directory of cgroup2 stands for (name_to_handle_at(2)).
Result<CgroupId> cgroup_id(BorrowedFd dir);

}  // namespace nsr::resources
