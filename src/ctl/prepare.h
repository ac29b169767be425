// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "ctl/options.h"
#include "ctl/own_cgroup.h"

namespace nsr::ctl {

struct Tap {
    UniqueFd fd;
    /// On the host.
    std::string name;
};

/// What a command takes along into its namespace.
struct Prepared {
    std::optional<OwnCgroup> cgroup;
    std::optional<Tap> tap;
};

/// Moves this process into a new user namespace, and has the service give it all that is asked for. The process is
/// still `caller` when this ends: polkit asks who it is. Nothing remains of a failure once the process has ended.
Result<Prepared> prepare(const Setting& setting, const RunVerb& verb, Uid caller);

}  // namespace nsr::ctl
