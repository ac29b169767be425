// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/level.h"

#include <array>
#include <utility>

namespace nsr::policy {

namespace {

constexpr std::array<std::pair<Level, std::string_view>, 4> kNames{{{Level::kEnforce, "enforce"},
                                                                    {Level::kQuarantine, "quarantine"},
                                                                    {Level::kNone, "none"},
                                                                    {Level::kRefuse, "refuse"}}};

}  // namespace

std::optional<Level> level_from_string(std::string_view text) {
    for (const auto& [level, name] : kNames)
        if (name == text) return level;
    return std::nullopt;
}

std::string_view level_to_string(Level level) {
    for (const auto& [candidate, name] : kNames)
        if (candidate == level) return name;
    return "unknown";
}

Choice choose_level(std::optional<Level> wanted, const Status& enforceable) {
    bool is_possible = enforceable.has_value();
    if (!wanted && is_possible) return {Level::kEnforce, "the kernel refuses whatever could outlive a namespace"};
    if (!wanted)
        return {Level::kQuarantine, fmt::format("no kernel policy: {}; a range is not handed out a second time",
                                                enforceable.error().what())};
    switch (*wanted) {
        case Level::kEnforce:
            if (is_possible)
                return {Level::kEnforce,
                        "set by the administrator: the kernel refuses whatever could outlive a namespace"};
            return {Level::kRefuse, fmt::format("enforcement is demanded, and there is no kernel policy: {}",
                                                enforceable.error().what())};
        case Level::kQuarantine:
            return {Level::kQuarantine, "set by the administrator: a range is not handed out a second time"};
        case Level::kNone:
            return {Level::kNone, "set by the administrator: ranges are reused though files may still carry their ids"};
        case Level::kRefuse:
            return {Level::kRefuse, "set by the administrator"};
    }
    return {Level::kRefuse, "unknown level"};
}

}  // namespace nsr::policy
