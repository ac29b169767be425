// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "resources/route_socket.h"

namespace nsr::resources {

/// Gives the link a further name, of 1…127 characters (RTM_NEWLINKPROP). A name that another link has already stays
/// with that one: a namespace's first pair and its tap are to have the same (interface.md section 2).
Status set_alternative_name(RouteSocket& socket, const std::string& link, const std::string& alternative);

}  // namespace nsr::resources
