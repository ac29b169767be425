// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <boost/json/object.hpp>

#include "base/result.h"
#include "ctl/options.h"

namespace nsr::ctl {

/// What the manager says about itself while it runs; empty where there is nothing.
Result<boost::json::object> read_status_file(const Setting& setting);

}  // namespace nsr::ctl
