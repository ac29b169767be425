// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace nsr::registry {

/// The content of `u<start>.delegate`: who holds a delegated range now, and who gets it back (interface.md section 4).
struct Delegation {
    NsInode userns;
    Uid start;
    Gid start_gid;
    uint32_t size = 0;
    /// From the first to the last; the last one gets the range back.
    std::vector<NsInode> ancestors;
    bool operator==(const Delegation&) const = default;
};

/// Reads hostile text; EBADMSG as with parse_registration(). Fields of other versions are ignored: the record is
/// rewritten whole when the range changes hands.
Result<Delegation> parse_delegation(std::string_view text);
std::string format_delegation(const Delegation& delegation);

}  // namespace nsr::registry
