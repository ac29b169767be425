// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/fd.h"
#include "reclaim/findings.h"

namespace nsr::reclaim {

/// System V objects and POSIX message queues of an IPC namespace, which this process joins.
void look_at_ipc(BorrowedFd proc, BorrowedFd namespace_fd, Findings& findings, const std::function<void()>& tick);

/// Keys (keyrings(7)). Those that root may not see count by the user whom they belong to.
void look_at_keys(BorrowedFd proc, Findings& findings);

}  // namespace nsr::reclaim
