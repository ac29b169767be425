// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nsr::policy {

/// How it is made safe that ranges are used again (doc/architecture.md, Enforcement).
enum class Level {
    kEnforce,     ///< the kernel refuses whatever could outlive a namespace
    kQuarantine,  ///< a range that was handed out is not handed out again
    kNone,        ///< nothing; only by the administrator's word
    kRefuse,      ///< no ranges at all
};

/// "enforce", "quarantine", "none", "refuse", or nothing.
std::optional<Level> level_from_string(std::string_view text);
std::string_view level_to_string(Level level);

struct Choice {
    Level level;
    std::string reason;  ///< one sentence, for the log and for people
};

/// The level that this host can have. `wanted` is the administrator's word; nothing means `auto`. `enforceable` is why
/// the kernel policy is not at work, or that it is; it counts for these two only.
Choice choose_level(std::optional<Level> wanted, const Status& enforceable);

}  // namespace nsr::policy
