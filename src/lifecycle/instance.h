// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lifecycle/journal.h"
#include "namespaces/prober.h"
#include "namespaces/user_namespace.h"
#include "policy/entries.h"
#include "policy/level.h"
#include "policy/missed_calls.h"
#include "ranges/taken_map.h"
#include "ranges/used_set.h"
#include "ranges/user_table.h"
#include "registry/store.h"

namespace nsr::lifecycle {

/// What an instance of the service keeps, over its runtime and state directories: one for each of its processes.
struct Instance {
    /// kManager: the registry is this process's to make. kWorker: the journal says which one it is.
    enum class Part { kManager, kWorker };
    static Result<Instance> open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                                 policy::Entries entries, Part part);

    registry::Store store;
    Journal journal;
    namespaces::Prober prober;
    namespaces::UserNamespace own;
    policy::Level level;
    policy::Entries entries;
    policy::MissedCalls missed_calls;
    /// Kept with the registry, as the next one is, by lifecycle/accounts.h.
    ranges::TakenMap taken;
    ranges::UserTable users;
    /// These two at every level but `none`, and `refuse` where nothing was handed out in this boot.
    UniqueFd state_dir;
    std::optional<ranges::UsedSet> used_set;
    /// Where systemd-coredump(8) puts core files.
    std::string core_directory;
    /// Tells the manager of a namespace whose death is to be watched for, and of the registration's owner.
    std::function<Status(const NsIdentity&, Uid owner)> announce;
};

}  // namespace nsr::lifecycle
