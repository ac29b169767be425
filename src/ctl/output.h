// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string_view>

#include "base/result.h"
#include "ctl/options.h"

namespace nsr::ctl {

/// Writes the text to standard output; where that is a terminal, and unless forbidden, through $PAGER or less(1).
Status print(const Setting& setting, std::string_view text);

}  // namespace nsr::ctl
