// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::sys {

/// Has the pages of a file, holes included, up to `size` bytes, and makes it that long. To be called before mmap(2):
/// what a full file system has no page for ends the process by SIGBUS, when it is written or even read.
Status allocate(BorrowedFd fd, uint64_t size, std::string_view name);

}  // namespace nsr::sys
