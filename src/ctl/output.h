// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string_view>

#include "base/result.h"
#include "ctl/options.h"

namespace nsr::ctl {

/// Writes the text to standard output; where that is a terminal, and unless forbidden, through $PAGER or less(1). Its
/// lines are made printable (base/printable.h). That is a last net: it cannot tell a line feed in a name from one of
/// the layout. Each field is made printable before it is laid out, which Table, pairs_text() and json_text() do.
Status print(const Setting& setting, std::string_view text);

}  // namespace nsr::ctl
