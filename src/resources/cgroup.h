// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::resources {

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
    /// Makes it a delegated cgroup (cgroups(7), "Delegation"): the directory goes to uid:gid with mode 0755, its
    /// cgroup.procs, cgroup.subtree_control and cgroup.threads with 0644; nothing else is touched. After an error
    /// everything is as it was before. EXDEV: something is mounted over one of them.
    Status delegate(Uid uid, Gid gid) const;

private:
    Cgroup(UniqueFd fd, CgroupId id) : fd_(std::move(fd)), id_(id) {}

    UniqueFd fd_;
    CgroupId id_;
};

}  // namespace nsr::resources
