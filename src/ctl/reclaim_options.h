// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <CLI/App.hpp>

#include "ctl/options.h"

namespace nsr::ctl {

/// What `reclaim` takes from the command line.
void describe_reclaim(CLI::App& verb, ReclaimVerb& target);

}  // namespace nsr::ctl
