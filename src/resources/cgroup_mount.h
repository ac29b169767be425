// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::resources {

/// The mount point in a line of /proc/<pid>/mountinfo (proc(5)), its escapes undone, if the line is of a cgroup2.
std::optional<std::string> cgroup2_mount_point(std::string_view line);

/// The root directory of the first cgroup2 mount that this process can see. ENODEV: there is none. To mount one of our
/// own would be no good: that resets the mount options of the whole hierarchy (nsdelegate and others).
Result<UniqueFd> open_cgroup_mount();

}  // namespace nsr::resources
