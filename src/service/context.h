// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "authority/authority.h"
#include "hostdb/host_ids.h"
#include "lifecycle/instance.h"

namespace nsr::service {

/// What the methods work with; one for each worker.
struct Context : lifecycle::Instance {
    /// Over an existing runtime and state directory. `announce` and `keep_mount` do nothing, at first.
    static Result<Context> open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                                policy::Entries entries);

    hostdb::HostIds host_ids;
    authority::Authority authority;
    /// Set when a range was taken from the stock that is marked ahead: it may run low.
    bool took_fresh_range = false;
    /// Gives the manager a descriptor that keeps a mount for as long as the namespace is registered.
    std::function<Status(const NsIdentity&, UniqueFd)> keep_mount;
};

/// How long other user databases may take to answer, all together.
inline constexpr uint64_t kHostIdsTimeoutUsec = 3'000'000;

}  // namespace nsr::service
