// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace nsr::policy {

/// Does something in a process of its own, and gives the lines that it answers, or its error. The calling process must
/// have one thread only. ETIMEDOUT, after which the process is killed: it took longer than a minute.
Result<std::vector<std::string>> in_child(const std::function<Result<std::vector<std::string>>()>& task);

/// In a new process, which might hang in the kernel: nothing of its parent's is kept, locks least of all. Standard
/// input, output and error stay.
void close_all_but(std::vector<int> kept);
/// Kills a child. One that does not end within some seconds hangs in the kernel, and is left there.
void end_child(pid_t pid);

}  // namespace nsr::policy
