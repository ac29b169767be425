// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <functional>
#include <optional>

#include "authority/authority.h"
#include "namespaces/prober.h"
#include "namespaces/user_namespace.h"
#include "policy/entries.h"
#include "policy/level.h"
#include "policy/missed_calls.h"
#include "ranges/host_ids.h"
#include "ranges/taken_map.h"
#include "ranges/used_set.h"
#include "ranges/user_table.h"
#include "registry/store.h"

namespace nsr::service {

/// What the methods work with; one for each worker.
struct Context {
    /// Over an existing runtime and state directory. Nobody is told of anything, at first.
    static Result<Context> open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                                policy::Entries entries);

    registry::Store store;
    namespaces::Prober prober;
    namespaces::UserNamespace own;
    ranges::HostIds host_ids;
    authority::Authority authority;
    policy::Level level;
    policy::Entries entries;
    policy::MissedCalls missed_calls;
    /// Kept with the registry, as the next one is, by service/accounts.h.
    ranges::TakenMap taken;
    ranges::UserTable users;
    /// These two at every level but `none`, and `refuse` where nothing was handed out in this boot.
    UniqueFd state_dir;
    std::optional<ranges::UsedSet> used_set;
    /// Where systemd-coredump(8) puts core files.
    std::string core_directory;
    /// The process that half-done calls are recorded under.
    pid_t writer;
    /// Set when a range was taken from the stock that is marked ahead: somebody should see whether it runs low.
    bool took_fresh_range = false;
    /// Tells the manager of a namespace whose death is to be watched for, and of the registration's owner.
    std::function<void(const NsIdentity&, Uid owner)> announce;
    /// Gives the manager a descriptor that keeps a mount for as long as the namespace is registered.
    std::function<Status(const NsIdentity&, UniqueFd)> keep_mount;
};

/// How long other user databases may take to answer, all together.
inline constexpr uint64_t kHostIdsTimeoutUsec = 3'000'000;

}  // namespace nsr::service
