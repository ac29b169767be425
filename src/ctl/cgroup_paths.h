// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/types.h"

namespace nsr::ctl {

/// Where cgroups are, as paths below the mount point of cgroup2 that begin with "/". Those that cannot be found are
/// left out: they are gone, or in a directory that the caller may not read, or beyond the first 65536 directories.
std::map<CgroupId, std::string> find_cgroup_paths(std::span<const CgroupId> ids);

}  // namespace nsr::ctl
