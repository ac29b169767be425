// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::registry {

/// Opens a directory, not through a symbolic link, and makes it with mode 0755, whatever the umask is, if it is not
/// there.
Result<UniqueFd> make_directory(BorrowedFd parent, const std::string& name);

/// Calls `visit` with the name and the inode number of each file in a directory, without memory for all of them: a full
/// registry has 115,000 names.
Status visit_directory(BorrowedFd parent, const std::string& name,
                       const std::function<void(std::string_view name, uint64_t inode)>& visit);

}  // namespace nsr::registry
