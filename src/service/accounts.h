// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/context.h"
#include "service/fault.h"

/// What each user has (doc/decisions/who-is-a-user.md): registrations, whose number is bounded at every level, and
/// ranges, whose number is bounded at the level `quarantine`, where each can be had once.
namespace nsr::service {

/// Where the ranges of a new registration come from: from the pool, or from what a namespace above has to give. The
/// latter keep their user, whose processes can have the ids as before, no matter who made the call.
enum class Origin { kPool, kParent };

/// Records a registration as half done, and charges it to its owner's user. Errors as from Store::add(); ENOSPC: there
/// are too many users. Nothing remains of a failed call.
Status enter_registry(Context& context, const registry::Lock& lock, const registry::Registration& registration,
                      Origin origin);
/// Removes the record. Its ranges stay charged: programs with their ids may live on.
Status leave_registry(Context& context, const registry::Lock& lock, const registry::Registration& registration);

/// System EUSERS, if the user behind a uid has as many registrations as one may have. Not with the lock held: if so,
/// they are counted, since a worker that was killed may have left a wrong number.
OrFault<void> require_room(Context& context, Uid caller);
/// The same with the lock held, just before a registration is recorded.
OrFault<void> require_room(const Context& context, const registry::Lock& lock, Uid caller);

/// Counts all registrations anew.
Status recount(Context& context);

/// Whether the user behind a uid may use up so many further ranges of a pool; if not, the log says so. Root may use up
/// all.
enum class Share { kLeft, kUsedUp };
Result<Share> share(const Context& context, const ranges::Pool& pool, Uid caller, uint32_t wanted);

}  // namespace nsr::service
