// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "ctl/options.h"

namespace nsr::ctl {

/// JSON for programs, ended by a newline: on one line (kShort), or indented (kPretty). Always valid UTF-8, and harmless
/// on a terminal; strings that are no UTF-8 have their bytes escaped (see printable_json() in base/printable.h).
std::string json_text(const boost::json::value& value, JsonMode mode);

}  // namespace nsr::ctl
