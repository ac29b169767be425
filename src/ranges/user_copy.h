// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ranges/user_table.h"

/// `<state_dir>/users`: which user each range names, for the next boot. At the level `quarantine` a range is used up
/// beyond the boot, and counts against its user as long.
namespace nsr::ranges {

/// Writes the copy durably, in one step: there is the old one or the new one. Waits for the disk.
Status save_users(const UserTable& users, BorrowedFd state_dir);

/// The marks of the copy, for UserTable::make(); none where there is no copy. One that is damaged, or that others may
/// write to, is set aside as users.damaged, with a warning.
Result<std::vector<uint32_t>> load_users(BorrowedFd state_dir);

}  // namespace nsr::ranges
