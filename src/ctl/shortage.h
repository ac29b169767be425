// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "base/types.h"
#include "ctl/options.h"
#include "ctl/own_use.h"

namespace nsr::ctl {

/// How many ranges of each size are asked for.
struct Wanted {
    uint32_t containers = 0, singles = 0;
};

/// What the answer NoDynamicRange means for the person at the keyboard: whether its own share is used up, or the pool,
/// by what the service says about itself and about the user; as one sentence with the remedy. Where neither is known,
/// the sentence says no more than the answer.
std::string explain_shortage(const Wanted& wanted, Uid caller, const std::optional<OwnUse>& use,
                             const boost::json::object& status);
/// The same by the files of the service.
std::string explain_shortage(const Setting& setting, const Wanted& wanted, Uid caller);

}  // namespace nsr::ctl
