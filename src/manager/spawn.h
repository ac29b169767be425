// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::manager {

/// Starts a program with no open descriptor but standard input, output and error, and those named: each
/// pair's first appears as its second in the new process. Signals are at their defaults, none blocked.
Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& arguments,
                    std::span<const std::pair<BorrowedFd, int>> fds);

/// Where nsresourcework is: beside this program, or in libexec.
Result<std::string> find_worker_program();

}  // namespace nsr::manager
