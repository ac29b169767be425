// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "resources/route_socket.h"

namespace nsr::resources {

/// Gives the link a further name, of 1…127 characters (RTM_NEWLINKPROP). A namespace's first pair and its
/// tap are to have the same one (interface.md section 2): who comes second gets "<alternative>-<second>". It has to
/// have one, as only by it a link is known as ours whatever its holder does to it. EEXIST: another link has that, too.
Status set_alternative_name(RouteSocket& socket, const std::string& link, const std::string& alternative,
                            const std::string& second);

}  // namespace nsr::resources
