// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "service/context.h"

/// At the level `quarantine` each range can be had once. So that one uid cannot use up those of all others by making
/// and closing namespaces, what each has spent in this boot is counted, and bounded to a part of the pool; root's is
/// not.
namespace nsr::service {

/// One in so many ranges of a pool is for one uid.
inline constexpr uint32_t kUidsPerPool = 16;

enum class Allowance { kLeft, kSpent };
Result<Allowance> allowance(const Context& context, const ranges::Pool& pool, Uid uid);
/// Another range of the pool is spent.
Status note_spent(const Context& context, const ranges::Pool& pool, Uid uid);

}  // namespace nsr::service
