// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <string>
#include <string_view>

#include "base/types.h"

namespace nsr::ctl {

/// A fit name for a namespace in which `owner` runs `command`: its last path component, as much of it as fits beside
/// the process id (the service puts "<uid>-" in front of all but root's). Two runs at the same time get different
/// names.
std::string default_name(std::string_view command, Uid owner, pid_t process);

}  // namespace nsr::ctl
