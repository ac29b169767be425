// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"

namespace nsr::channels {

/// A FUSE that has a set-group-ID directory alone, which all may write, and says that whatever is made there was made.
/// Mounted by root of the host. 0, or an errno value.
int mount_fuse(const UniqueFd& device, const std::string& at);

/// Answers the kernel until a directory was made, or the device is gone; the group that its maker was said to have.
uint32_t serve_fuse(const UniqueFd& device);

}  // namespace nsr::channels
