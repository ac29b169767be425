// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string_view>

namespace nsr::varlink {

/// The text of interfaces/<interface>.varlink, embedded when the program was built; empty where there is none.
std::string_view description(std::string_view interface);

}  // namespace nsr::varlink
