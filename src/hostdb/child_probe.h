// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "base/forked_child.h"

namespace nsr::hostdb {

/// A process in which code runs that is not trusted to end, or to leave memory alone: it has none of our descriptors
/// but 0 to 2 and the end of a pipe, and is nobody where we are root. `body` gives the exit status, 0…255.
Result<ForkedChild> start_probe(const std::function<int()>& body);

}  // namespace nsr::hostdb
