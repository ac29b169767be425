// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <utility>

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/cgroup.h"
#include "resources/dead_ids.h"

namespace nsr::resources {

/// kBusy: something is left, because it has processes (which live on), because somebody made new cgroups meanwhile, or
/// because there is more than one call removes. To be tried again later.
enum class CgroupRemoval { kGone, kBusy };
/// kInPart: there is more than one call may do.
enum class CgroupsRetaken { kAll, kInPart };

/// The host's cgroup2 tree, in which cgroups are found by their ids alone. The kernel makes an id of a 32-bit number
/// that it hands out in turn and of a generation that grows when the numbers start again (fs/kernfs/dir.c), so within
/// one boot a stale id never means another cgroup; and records of ids do not outlive a boot, since they lie in /run.
class CgroupTree {
public:
    /// Finds where cgroup2 is mounted and keeps that open. ENODEV: nowhere.
    static Result<CgroupTree> open();

    /// Who owns the directory; nothing if there is no such cgroup any more.
    Result<std::optional<Uid>> owner(CgroupId id) const;
    /// The cgroup, to be delegated; nothing if there is no such one any more.
    Result<std::optional<Cgroup>> find(CgroupId id) const;
    static constexpr size_t kMaxVisits = 16384;
    /// Removes the cgroup and all below it that have no processes, deepest first. A cgroup that is gone already is
    /// kGone. EINVAL for the root of the tree. At most `max_visits` cgroups are visited.
    Result<CgroupRemoval> remove(CgroupId id, size_t max_visits = kMaxVisits) const;

    /// How much more may be done: cgroups looked at, and cgroups changed, which takes longer.
    struct Effort {
        size_t visits;
        size_t changes;
    };
    /// Gives to root whatever of the cgroup and of those below it has one of these ids, and nothing else. A cgroup that
    /// is gone already is kAll. After an error or kInPart, what was given to root stays so.
    Result<CgroupsRetaken> take_back(CgroupId id, const DeadIds& ids, Effort& effort) const;

private:
    explicit CgroupTree(UniqueFd mount) : mount_(std::move(mount)) {}

    UniqueFd mount_;
};

}  // namespace nsr::resources
