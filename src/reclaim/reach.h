// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::reclaim {

/// Whether block devices may be mounted by the names that the mount table gives them: not those of a stranger's table,
/// who may have put any name there.
enum class Devices { kMayBeMounted, kLeftAlone };

/// A copy of this process's mount namespace for this process alone, in which nothing that it mounts or unmounts
/// concerns anybody else. `namespace_fd` is entered first, if it is one.
Status enter_private_mounts(BorrowedFd namespace_fd);

/// The root of the file system with this device number, open for reading, through a mount of its own that has no other
/// mounts in it: what lies below mount points is seen. Only after enter_private_mounts(), since mounts that hide it are
/// taken away. ENOTSUP: only parts of it are mounted, or only so that it shows other ids.
Result<UniqueFd> reach_root(BorrowedFd proc, const std::string& device, Devices devices);

}  // namespace nsr::reclaim
