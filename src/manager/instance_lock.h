// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::manager {

/// Takes a lock file of the runtime directory (flock(2)), which processes of an earlier instance may hold. Waits for
/// those that still run, no longer than `patience_usec` (ETIMEDOUT). A process that is about to end, but is held in the
/// kernel by what it has open, will not run any more: its lock does not count.
Result<UniqueFd> take_lock(BorrowedFd runtime, const std::string& path, uint64_t patience_usec);

}  // namespace nsr::manager
