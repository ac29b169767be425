// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace nsr::channels {

/// A file system of the host, mounted for the cases.
struct FileSystem {
    enum class Kind { kExt4, kTmpfs, kBtrfs, kGrpid };

    Kind kind;
    std::string name;
    std::string mount_point;
    /// Not empty: it could not be made, and this is why.
    std::string missing;
};

/// ext4, tmpfs, btrfs, and ext4 with `grpid`, below a scratch directory; images are mounted by loop devices, which the
/// kernel frees after the last unmount.
std::vector<FileSystem> make_file_systems(const std::string& scratch);

}  // namespace nsr::channels
