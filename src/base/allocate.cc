// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/allocate.h"

#include <fcntl.h>
#include <unistd.h>

namespace nsr::sys {

Status allocate(BorrowedFd fd, uint64_t size, std::string_view name) {
    int result = 0;
    do result = ::fallocate(fd.get(), 0, 0, static_cast<off_t>(size));
    while (result < 0 && errno == EINTR);
    // Where a file system is without it, the size is all that can be had.
    if (result < 0 && errno == EOPNOTSUPP) result = ::ftruncate(fd.get(), static_cast<off_t>(size));
    if (result == 0) return {};
    int code = errno;
    return fail_errno(code, fmt::format("allocate {}", name));
}

}  // namespace nsr::sys
