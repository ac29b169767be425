// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/stat.h>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::resources {

class CgroupHandover;

/// A cgroup that a caller gave us, known by a descriptor whose kind and open flags have been proven (interface.md
/// section 2, AddControlGroupToUserNamespace).
class Cgroup {
public:
    /// Takes a descriptor from anywhere; after an error its caller still has it. Errors: EREMOTEIO for open flags other
    /// than those of a plain read-only open (O_DIRECTORY and O_NOFOLLOW are fine), EINVAL for anything that is not a
    /// directory of cgroup2 and for the root of the whole tree, ENODEV for a cgroup that was removed.
    static Result<Cgroup> from_descriptor(UniqueFd&& fd);

    /// Never used twice in a boot: see cgroup_tree.h.
    CgroupId id() const { return id_; }
    /// Who owns the directory, as the service's own user namespace sees it.
    Result<Uid> owner() const;
    /// To make it a delegated cgroup (cgroups(7), "Delegation"). EXDEV: something is mounted over one of its files.
    Result<CgroupHandover> prepare_handover() const;

private:
    Cgroup(UniqueFd fd, CgroupId id) : fd_(std::move(fd)), id_(id) {}

    UniqueFd fd_;
    CgroupId id_;
};

/// The directory of a cgroup and its cgroup.procs, cgroup.subtree_control and cgroup.threads, and who has them before
/// they change hands. Must not outlive the cgroup.
class CgroupHandover {
public:
    /// Gives the directory to uid:gid with mode 0755, and the files with 0644; nothing else is touched. After an error
    /// a part may have changed hands.
    Status give(Uid uid, Gid gid);
    /// All is as it was before give(), which may have failed.
    Status take_back();

private:
    friend class Cgroup;
    struct Item {
        BorrowedFd fd;
        struct stat before;
        mode_t mode;
    };

    std::vector<UniqueFd> files_;
    std::vector<Item> items_;
    size_t begun_ = 0;
};

}  // namespace nsr::resources
