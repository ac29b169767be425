// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <string>

#include <bpf/libbpf.h>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::policy {

/// Maps by their names.
using MapSet = std::map<std::string, UniqueFd, std::less<>>;

/// What a pin has to be, before it counts as ours: nobody but root can have put something else there, but an accident,
/// or another version, might.
Status require_map_like(BorrowedFd map, const bpf_map* definition);
/// A link that attaches this very program of ours to this kernel function (its BTF id; 0: not by one), and that works
/// with these maps, not with others of the same names.
Status require_link_like(BorrowedFd link, const bpf_program* program, uint32_t target, const MapSet& maps);

}  // namespace nsr::policy
