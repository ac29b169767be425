// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/fd.h"

#include <unistd.h>
#include <cerrno>

namespace nsr {

void UniqueFd::reset(int fd) {
    if (fd_ >= 0) {
        int saved = errno;  // callers build their error text after the descriptor went out of scope
        ::close(fd_);
        errno = saved;
    }
    fd_ = fd;
}

}  // namespace nsr
