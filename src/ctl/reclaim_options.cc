// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/reclaim_options.h"

#include <CLI/CLI.hpp>

namespace nsr::ctl {

void describe_reclaim(CLI::App& verb, ReclaimVerb& target) {
    target.state_dir = "/var/lib/nsresource";
    verb.add_flag_callback(
        "--dry-run", [&target] { target.change = ReclaimVerb::Change::kNone; }, "Look, and change nothing");
    verb.add_flag_callback(
        "--progress", [&target] { target.progress = ReclaimVerb::Progress::kAlways; },
        "Show the progress even if standard error is no terminal");
    verb.add_flag_callback(
        "--trust-others", [&target] { target.others = ReclaimVerb::Others::kTrusted; },
        "You vouch for the file systems on which no PATH lies: free ranges without having looked at them");
    verb.add_option("--state-dir", target.state_dir, "What the service keeps over a boot")
        ->type_name("DIR")
        ->take_last()
        ->capture_default_str();
    verb.add_option("--runtime-dir", target.runtime_dir, "Where the registry of the service is (default: its socket's)")
        ->type_name("DIR")
        ->take_last();
    verb.add_option("PATH", target.paths, "Look only at the file systems that these lie on; nothing is freed then");
}

}  // namespace nsr::ctl
