// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "file_system.h"
#include "stage.h"

namespace nsr::channels {

/// What a run is to show: that the policy holds each channel, or, without the policy, that each is a channel at all.
enum class Expect { kHeld, kLeaks };

struct Wanted {
    /// Cases whose names contain this.
    std::string text;
    Expect expect = Expect::kHeld;
    bool verbose = false;
    /// A file system that cannot be made is a failure.
    bool all_file_systems = false;
};

/// Runs them, prints the table, and answers the exit status.
int run_cases(Setting& setting, const std::vector<FileSystem>& file_systems, const Wanted& wanted);
int list_cases(const Wanted& wanted);

}  // namespace nsr::channels
