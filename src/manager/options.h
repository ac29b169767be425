// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "policy/level.h"

namespace nsr::manager {

/// The command line, and the configuration files below it.
struct Options {
    enum class Action { kRun, kHelp, kVersion };

    Action action = Action::kRun;
    std::string runtime_dir = "/run/systemd";
    std::string state_dir = "/var/lib/nsresource";
    std::string config = "/etc/nsresourced.conf";
    /// Nothing: `auto`.
    std::optional<policy::Level> enforcement;
    log::Level log_level = log::Level::kInfo;
};

/// EINVAL for what cannot be understood, with a sentence that says what could.
Result<Options> parse_options(int argc, char** argv);
std::string_view usage();

}  // namespace nsr::manager
