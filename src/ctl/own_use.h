// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/types.h"
#include "ctl/options.h"

namespace nsr::ctl {

/// What the service counts against a uid, by its table of users (doc/decisions/who-is-a-user.md).
struct OwnUse {
    Uid user;
    uint32_t registrations = 0;
    /// Ranges that name the user, also those that were released: at the level `quarantine` they are used up.
    uint32_t containers = 0, singles = 0;
};

/// ENOENT: no service has run in this boot.
Result<OwnUse> own_use(const Setting& setting, Uid uid);

}  // namespace nsr::ctl
