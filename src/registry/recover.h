// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

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
    /// The namespaces of entries that stay as they are, with all their links, since the system failed to read, complete
    /// or remove them at this time (ENOMEM, EMFILE, EIO, ENOSPC). They are taken: another recover() may succeed.
    std::vector<NsInode> unread;
    /// Links without an entry, and delegated ranges, that stay for the same reason.
    size_t unread_links = 0;
    std::vector<Uid> unread_delegations;

    bool is_complete() const { return unread.empty() && unread_links == 0 && unread_delegations.empty(); }
};

/// Puts the registry right, at the start of the manager, before the first connection and after the half-done calls of
/// the journal were decided. `judge` says of each registration whether its namespace lives; it is called with the lock
/// held, so it must not ask for it, nor wait for another process. kRemove must mean certainly dead. Only a record that
/// is broken itself counts as broken: where the system fails, what the record stands for is kept and taken. It may be
/// called again at any time.
Result<RecoveryReport> recover(Store& store, const std::function<Verdict(const Registration&)>& judge);

}  // namespace nsr::registry
