// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace nsr::channels {

/// A file system of the host, mounted for the cases.
struct FileSystem {
    enum class Kind { kExt4, kTmpfs, kBtrfs, kGrpid, kXfs, kF2fs };

    Kind kind;
    std::string name;
    std::string mount_point;
    /// Not empty: it could not be made, and this is why.
    std::string missing;
};

/// kMore: xfs and f2fs, too, of which the policy knows nothing in particular.
enum class FileSystems { kUsual, kMore };

/// ext4, tmpfs, btrfs, and ext4 with `grpid`, below a scratch directory; images are mounted by loop devices, which the
/// kernel frees after the last unmount.
std::vector<FileSystem> make_file_systems(const std::string& scratch, FileSystems which);

}  // namespace nsr::channels
