// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/context.h"

namespace nsr::service {

enum class Holder { kGone, kAlive };

/// Takes back a registration if its namespace is certainly dead: all that was recorded for it, the record itself last.
/// kAlive also where nobody can tell, and where more is left than one call takes back: its ids are in use still.
Result<Holder> release_if_dead(Context& context, const registry::Registration& registration);

/// The same for the registration of a namespace, if there is one; another namespace with the same inode number is left
/// alone.
Result<Holder> release_if_dead(Context& context, const NsIdentity& identity);

/// Takes back the entry in the kernel policy and the record of a registration whose namespace is dead or never got its
/// maps.
Status remove(Context& context, const registry::Registration& registration);

/// Removes cgroups that were busy when their namespace died.
enum class Leftovers { kNone, kSome };
Result<Leftovers> tidy(Context& context);

/// Undoes or completes what a worker that died has left half done. A namespace that has maps already keeps its
/// registration, since nothing can take the maps back. kSomething: the registrations of each user are to be counted
/// anew, for the worker may have died just before or after it had counted one.
enum class Repaired { kNothing, kSomething };
Result<Repaired> repair(Context& context, pid_t writer);

}  // namespace nsr::service
