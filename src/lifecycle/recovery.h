// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "lifecycle/instance.h"

namespace nsr::lifecycle {

/// A namespace that is registered, and the owner of its registration.
struct Registered {
    NsIdentity userns;
    Uid owner;
};

/// Whether the kernel policy was at work for all that is registered, ever since it was registered.
enum class Past { kEnforced, kNotEnforced };

struct Recovered {
    /// Their deaths are to be watched for.
    std::vector<Registered> registered;
    /// Records that could not be read, or taken back, at this time: they are kept and count as taken, and recover_one()
    /// tries again.
    std::vector<NsInode> unread;
};

/// Puts right what an earlier instance left, whenever it was killed: before the first client is served, and while no
/// worker lives.
Result<Recovered> recover(Instance& instance, Past past);

/// One record that recover() could not read. Nothing: it is gone. An error: it is to be tried again.
Result<std::optional<Registered>> recover_one(Instance& instance, NsInode inode);

}  // namespace nsr::lifecycle
