// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"
#include "registry/store.h"

namespace nsr::registry {

enum class Verdict { kKeep, kRemove };

/// What recover() found and did.
struct RecoveryReport {
    size_t kept = 0;
    size_t removed = 0;
    /// Entries that cannot be read; they lie in nsresource/broken/ now.
    size_t broken = 0;
    size_t links_made = 0;
    size_t links_removed = 0;
    /// Links left in place though nothing stands behind them: what they name stays taken.
    size_t links_in_doubt = 0;
    size_t unknown_files = 0;
};

/// Puts the registry right, at the start of the manager, before the first connection and after the half-done calls in
/// pending() were decided. `judge` says of each registration whether its namespace lives; it is called with the lock
/// held, so it must not ask for it, nor wait for anybody. kRemove must mean certainly dead.
Result<RecoveryReport> recover(Store& store, const std::function<Verdict(const Registration&)>& judge);

}  // namespace nsr::registry
