// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "lifecycle/transaction.h"
#include "service/context.h"
#include "service/fault.h"

namespace nsr::service {

/// Looks at the current record, with the registry lock held. `begun`: how many other calls are just adding something of
/// the kind to the same registration.
using AdditionJudge = std::function<OrFault<void>(const registry::Registration& current, size_t begun)>;

/// Begins to add what `added` lists to a registration. UserNamespaceNotRegistered if that is gone by now, or is not
/// finished; System EBUSY: another call is adding the same thing.
OrFault<lifecycle::Transaction> begin_addition(Context& context, lifecycle::Step step,
                                               const registry::Registration& added, const AdditionJudge& judge);

}  // namespace nsr::service
