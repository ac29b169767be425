// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <utility>

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "resources/cgroup.h"

namespace nsr::resources {

/// kBusy: something is left, because it has processes (which live on), because somebody made new cgroups meanwhile, or
/// because there is more than one call removes. To be tried again later.
enum class CgroupRemoval { kGone, kBusy };

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
    /// With kTakeBack what stays, for whatever reason, is given back to root: its owner's ids may be somebody else's
    /// soon.
    enum class Owner { kTakeBack, kLeave };
    Result<CgroupRemoval> remove(CgroupId id, Owner owner = Owner::kLeave, size_t max_visits = kMaxVisits) const;

private:
    explicit CgroupTree(UniqueFd mount) : mount_(std::move(mount)) {}

    UniqueFd mount_;
};

}  // namespace nsr::resources
