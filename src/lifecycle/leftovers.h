// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"
#include "resources/cgroup_tree.h"

/// Cgroups that were busy or large when their namespace died: noted beside the registry, and removed later.
namespace nsr::lifecycle {

struct Leftover {
    CgroupId id;
    /// When its namespace died. It may be given to another namespace one day; then it is that one's, by its owner.
    Uid owner;
    /// Whom the time counts for that its removal takes.
    Uid user;
};

Status note_leftover(const Instance& instance, const Leftover& leftover);
bool is_noted(const Instance& instance, const Leftover& leftover);

/// Nothing is left of it, or it is another namespace's: kGone.
Result<resources::CgroupRemoval> remove_own_cgroup(const resources::CgroupTree& tree, const Leftover& cgroup,
                                                   resources::CgroupWalk& walk, resources::CgroupTree::Effort& effort);

/// kBusy: those that are left have processes, so a moment has to pass. kMore: the turn is over.
enum class Leftovers { kNone, kBusy, kMore };
/// One turn: for some milliseconds, of those that are noted for the user whose turn is longest ago, then the next
/// one's.
Result<Leftovers> tidy(Instance& instance);

}  // namespace nsr::lifecycle
