// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::resources {

/// A mount that a caller gave us, known by a descriptor of a directory in it (interface.md section 2,
/// AddMountToUserNamespace).
class Mount {
public:
    /// Takes a descriptor from anywhere: of a detached or attached mount, its root or not. Errors: ENOTDIR for what is
    /// no directory, EREMOTEIO for open flags other than those of a plain read-only open (O_PATH, O_DIRECTORY and
    /// O_NOFOLLOW are fine).
    static Result<Mount> from_descriptor(UniqueFd&& fd);

    /// Unique in this boot from Linux 6.8 on (STATX_MNT_ID_UNIQUE), else reused once the mount is gone.
    uint64_t id() const { return id_; }
    /// A descriptor to be kept for as long as the mount is to stay. Nothing, where to keep one could keep a
    /// user namespace alive: file systems that may be owned by one (of those, only a tmpfs of the initial namespace is
    /// known not to be), and all before Linux 6.9, where an id-mapped mount is enough. A file system that a managed
    /// namespace owns dies with it, and needs no pin.
    Result<std::optional<UniqueFd>> pin() const;

private:
    Mount(UniqueFd fd, uint64_t id) : fd_(std::move(fd)), id_(id) {}

    UniqueFd fd_;
    uint64_t id_;
};

}  // namespace nsr::resources
