// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"

/// What each user has (doc/decisions/who-is-a-user.md): registrations, whose number is bounded at every level, and
/// ranges, whose number is bounded at the level `quarantine`, where each can be had once.
namespace nsr::lifecycle {

/// Where the ranges of a new registration come from: from the pool, or from what a namespace above has to give. The
/// latter keep their user, whose processes can have the ids as before, no matter who made the call.
enum class Origin { kPool, kParent };

/// Records a registration, and charges it to its owner's user. Errors as from Store::add(); ENOSPC: there are too many
/// users. Nothing remains of a failed call but after ENOTRECOVERABLE.
Status enter_registry(Instance& instance, const registry::Lock& lock, const registry::Registration& registration,
                      Origin origin);
/// Removes the record. Its ranges stay charged: programs with their ids may live on.
Status leave_registry(Instance& instance, const registry::Lock& lock, const registry::Registration& registration);

/// Whether the user behind a uid may have one more registration. Not with the lock held: if not, they are counted,
/// since a worker that was killed may have left a wrong number.
enum class Room { kLeft, kNone };
Result<Room> room(Instance& instance, Uid caller);
/// The same with the lock held, just before a registration is recorded.
Room room(const Instance& instance, const registry::Lock& lock, Uid caller);

/// Counts all registrations anew.
Status recount(Instance& instance);

/// Whether the user behind a uid may use up so many further ranges of a pool; if not, the log says so. Root may use up
/// all.
enum class Share { kLeft, kUsedUp };
Result<Share> share(const Instance& instance, const ranges::Pool& pool, Uid caller, uint32_t wanted);

}  // namespace nsr::lifecycle
