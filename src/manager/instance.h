// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "manager/options.h"

namespace nsr::manager {

/// The life of the service, from its first look at the registry to the end of its last worker. Gives the exit status.
Result<int> run_instance(const Options& options);

}  // namespace nsr::manager
