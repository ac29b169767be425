// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::reclaim {

/// One line of mountinfo (proc(5)), its escapes undone.
struct Mount {
    uint64_t id = 0, parent = 0;
    std::string device;  ///< "major:minor"; one for each superblock
    std::string root, point, options, type, source, super_options;

    /// Whether a comma-separated list of options has this one.
    bool has(std::string_view option) const;
    bool super_has(std::string_view option) const;
    /// What follows `name`= in the options of the superblock; empty where it is not there.
    std::string super_value(std::string_view name) const;
    /// The mount shows the whole file system, and its ids as they are.
    bool shows_all() const { return root == "/" && !has("idmapped"); }
};

/// EBADMSG.
Result<std::vector<Mount>> parse_mount_table(std::string_view text);
/// That of the mount namespace which this process is in; `proc` is a /proc that shows it.
Result<std::vector<Mount>> read_mount_table(BorrowedFd proc);

/// What is to be done about a file system.
enum class Treatment {
    kLook,
    /// Its inodes come and go with processes or devices, or belong to root; nobody leaves something there.
    kNothingStays,
    /// FUSE for one user alone: the kernel lets nobody else in, whatever ids are shown.
    kOneUser,
};
Treatment treatment_of(const Mount& mount);

}  // namespace nsr::reclaim
