// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

/// The steps by which this very process becomes a command in a namespace. After each of them there is no way back.
namespace nsr::ctl {

/// Moves this process into a new user namespace, without any map yet, and gives a descriptor of it. Must be called
/// while the process has one thread only. The error names the setting of the system that may stand in the way.
Result<UniqueFd> enter_new_user_namespace();

/// Uid and gid as the namespace sees them.
struct InsideIds {
    Uid uid;
    Gid gid;
};
/// kKept is for a namespace in which setgroups(2) is forbidden.
enum class Groups { kDropped, kKept };

/// Becomes this user and group of the namespace, which its maps must have; without further groups, or with them.
Status become_inside(InsideIds ids, Groups groups);

/// A network namespace of its own, which belongs to the user namespace that this process is in; gives a descriptor.
Result<UniqueFd> enter_new_network_namespace();

/// A mount namespace of its own: mounts made from now on are not seen outside, those made outside still come in.
Status enter_new_mount_namespace();

/// Becomes the command. Comes back only where that is not possible: 127 if there is no such command, 126 otherwise.
int execute(const std::vector<std::string>& command);

}  // namespace nsr::ctl
