// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace nsr::policy {

/// Does something in a process of its own, and gives the lines that it answers, or its error. The calling process must
/// have one thread only. ETIMEDOUT, after which the process is killed: it took longer than a minute.
Result<std::vector<std::string>> in_child(const std::function<Result<std::vector<std::string>>()>& task);

}  // namespace nsr::policy
