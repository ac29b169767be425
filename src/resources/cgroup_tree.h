// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/cgroup.h"
#include "resources/dead_ids.h"

namespace nsr::resources {

/// kBusy: something is left, because it has processes (which live on), or because new cgroups were made meanwhile.
/// kInPart: there is more than one call may do.
enum class CgroupRemoval { kGone, kBusy, kInPart };
/// kInPart: there is more than one call may do.
enum class CgroupsRetaken { kAll, kInPart };

/// Where a walk through cgroups stands, so that the next call goes on there: what waits to be looked at, the next one
/// last. Without this, each call would begin with looking at all that the calls before have done. 0, which is no
/// cgroup, says of the one before that all below it has been looked at.
using CgroupWalk = std::vector<CgroupId>;

/// The host's cgroup2 tree, in which cgroups are found by their ids alone. The kernel makes an id of a 32-bit number
/// that it hands out in turn and of a generation that grows when the numbers start again (fs/kernfs/dir.c), so within
/// one boot a stale id never means another cgroup; and records of ids do not outlive a boot, since they lie in /run.
class CgroupTree {
public:
    /// Finds where cgroup2 is mounted and keeps that open. ENODEV: nowhere.
    static Result<CgroupTree> open();

    /// The cgroup above all that can be seen.
    Result<CgroupId> top() const;
    /// Who owns the directory; nothing if there is no such cgroup any more.
    Result<std::optional<Uid>> owner(CgroupId id) const;
    /// The cgroup, to be delegated; nothing if there is no such one any more.
    Result<std::optional<Cgroup>> find(CgroupId id) const;

    /// How much more may be done: cgroups looked at, and until when (CLOCK_MONOTONIC). One is looked at in any case.
    struct Effort {
        size_t visits;
        uint64_t end_usec = UINT64_MAX;
    };
    /// Removes the cgroup and all below it that have no processes, deepest first. A cgroup that is gone already is
    /// kGone. EINVAL for the root of the tree. After kInPart `walk` says where to go on; an empty one is a beginning.
    Result<CgroupRemoval> remove(CgroupId id, CgroupWalk& walk, Effort& effort) const;
    /// Gives to root whatever of the cgroups that wait, and of those below them, has one of these ids, and nothing
    /// else. A cgroup that is gone already needs nothing. After an error or kInPart, `walk` says where to go on.
    Result<CgroupsRetaken> take_back(CgroupWalk& walk, const DeadIds& ids, Effort& effort) const;

private:
    explicit CgroupTree(UniqueFd mount) : mount_(std::move(mount)) {}

    UniqueFd mount_;
};

}  // namespace nsr::resources
