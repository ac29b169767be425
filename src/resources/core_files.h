// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "resources/dead_ids.h"

namespace nsr::resources {

/// kLeft: there may be more of them.
enum class CoreFiles { kCleared, kLeft };

/// systemd-coredump(8) lets the user of a process that crashed read its core file, by an entry in the file's access
/// control list; a later owner of the same id would read the earlier one's memory. This takes the entries with these
/// ids out of the lists of all core files in the directory, for `usec` from when they are listed, but of one at least.
/// It goes by the uid in a file's name, and, where there is none, looks into each. The next call goes on with what is
/// left. No directory: kCleared. EPERM: another user may write to the directory. What is not a regular file of this
/// process's own user is left alone, and symbolic links are not followed. For the names and the list see
/// systemd-coredump(8) and acl(5).
Result<CoreFiles> clear_core_files(const std::string& directory, const DeadIds& ids, uint64_t usec);

}  // namespace nsr::resources
