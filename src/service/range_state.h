// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/context.h"
#include "service/parent_view.h"

namespace nsr::service {

/// Whether the registry lets a child of `parent` have a range: nobody has it as its own, and it is delegated to nobody,
/// or to that parent. Changes nothing and takes no lock.
Result<registry::Taken> range_state(const Context& context, const ParentView& parent, Uid start);

/// The same, but a registration of a dead namespace that is in the way is released first: one that counts as the
/// caller's user (ranges/user_table.h), and any below a namespace with delegated ranges, which has few. A release can
/// take a while, and where there are many ranges another one is free. Not with the lock held.
Result<registry::Taken> range_state_after_release(Context& context, const ParentView& parent, Uid start, Uid caller);

}  // namespace nsr::service
