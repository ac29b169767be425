// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/own_use.h"

#include <fcntl.h>

#include "base/sys.h"
#include "ranges/user_table.h"

namespace nsr::ctl {

Result<OwnUse> own_use(const Setting& setting, Uid uid) {
    UniqueFd dir = TRY(sys::open_at(sys::kCwd, setting.resource_directory(), O_RDONLY | O_DIRECTORY));
    auto users = TRY(ranges::UserTable::open_for_reading(dir.borrow()));
    OwnUse use{.user = users.user_of(uid)};
    use.registrations = users.count_registrations(use.user);
    use.containers = users.count_ranges(ranges::kContainerPool, use.user);
    use.singles = users.count_ranges(ranges::kDynamicPool, use.user);
    return use;
}

}  // namespace nsr::ctl
