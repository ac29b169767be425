// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>

#include "base/fd.h"
#include "reclaim/findings.h"
#include "reclaim/reach.h"

namespace nsr::reclaim {

struct FileSystemLook {
    BorrowedFd proc;
    BorrowedFd mount_namespace;
    std::string device;  ///< as in the mount table
    std::string label;
    Devices devices;
};

/// Looks at all of a file system, and at what got a new name while it was looked at. In a process of its own: it enters
/// namespaces.
void look_at_whole(const FileSystemLook& look, Findings& findings, const std::function<void()>& tick);

/// The same of the tree below a directory, which is the root of its file system.
void look_at_tree(BorrowedFd root, BorrowedFd proc, const std::string& label, Findings& findings,
                  const std::function<void()>& tick);

}  // namespace nsr::reclaim
