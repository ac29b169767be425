// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::manager {

/// Tells the service manager something, as sd_notify(3) does, which however waits for as long as nobody reads. Nothing
/// happens where there is no service manager (no $NOTIFY_SOCKET). EAGAIN: it did not take the message within
/// `patience_usec`.
Status notify(const std::string& text, uint64_t patience_usec);
/// With a descriptor (FDSTORE=1), and without waiting.
Status notify_with_fd(const std::string& text, BorrowedFd fd);

}  // namespace nsr::manager
