// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

/// The bare kernel work of an allocation, with nothing around it. Shares no code with src/namespaces: it is the measure
/// for that.
namespace nsr::bench {

/// New user namespaces without maps or processes, owned by the caller.
Result<std::vector<UniqueFd>> make_own_user_namespaces(size_t count);
/// The same, owned by this uid; for root.
Result<std::vector<UniqueFd>> make_user_namespaces(Uid owner, size_t count);

/// Joins an empty user namespace in a throw-away process, writes both maps (65536 ids from `start` on), and ends it.
Status map_user_namespace(BorrowedFd userns, uint32_t start);

}  // namespace nsr::bench
