// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::reclaim {

/// Tells which objects of a whole file system, whatever mount they were reached by, were given a new name: made, linked
/// or moved. Whoever moves a file from where nobody has looked yet to where somebody has looked cannot hide it from
/// this. By fanotify(7), which needs file handles that can be opened again.
class ChangeWatch {
public:
    /// A file handle (open_by_handle_at(2)), by which the object is found under whatever name it has by now.
    using Handle = std::string;

    /// `root`: the root of the file system, open for reading. An error where this kind cannot be watched.
    static Result<ChangeWatch> open(BorrowedFd root);

    /// What has got a new name since the last call; never waits. EOVERFLOW: the kernel has dropped some.
    Result<std::vector<Handle>> take();

private:
    explicit ChangeWatch(UniqueFd fd) : fd_(std::move(fd)) {}

    UniqueFd fd_;
};

/// The object of a handle, with these open(2) flags. ESTALE: it is gone.
Result<UniqueFd> open_handle(BorrowedFd root, const ChangeWatch::Handle& handle, int flags);

}  // namespace nsr::reclaim
