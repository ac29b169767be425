// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

/// The steps by which this very process becomes a command in a namespace. After each of them there is no way back.
namespace nsr::ctl {

/// Moves this process into a new user namespace, without any map yet, and gives a descriptor of it. Must be called
/// while the process has one thread only. The error names the setting of the system that may stand in the way.
Result<UniqueFd> enter_new_user_namespace();

/// Becomes uid 0 and gid 0 of the namespace, without further groups; its maps must have been written.
Status become_root_inside();

/// A mount namespace of its own: mounts made from now on are not seen outside, those made outside still come in.
Status enter_new_mount_namespace();

/// Becomes the command. Comes back only where that is not possible: 127 if there is no such command, 126 otherwise.
int execute(const std::vector<std::string>& command);

}  // namespace nsr::ctl
