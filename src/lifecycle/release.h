// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/release_turn.h"

namespace nsr::lifecycle {

enum class Holder { kGone, kAlive };

/// What becomes of a registration whose cgroups take more than one turn. kGoesOn: it stays as it is meanwhile.
/// kGivesWay: a caller needs its inode number or its name; they are free at once, and its ranges are held by a record
/// that is set aside (Store::set_aside()), whose release goes on by itself.
enum class LongRelease { kGoesOn, kGivesWay };

/// Takes back a registration if its namespace is certainly dead: all that was recorded for it, the record itself last.
/// kAlive also where the kernel does not tell, and where it goes on: its ids are in use still.
Result<Holder> release_if_dead(Instance& instance, const registry::Registration& registration,
                               LongRelease how = LongRelease::kGivesWay);

/// What became of a namespace in one turn of releases. kMore: its release goes on at the next turn. kNotNow: it lives,
/// or the kernel does not tell, or something could not be taken back.
enum class TurnOutcome { kGone, kMore, kNotNow };

/// The same for the registration of a namespace, if there is one; another namespace with the same inode number is left
/// alone.
Result<TurnOutcome> release_in_turn(Instance& instance, ReleaseTurn& turn, const NsIdentity& identity);

}  // namespace nsr::lifecycle
