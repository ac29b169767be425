// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reclaim/findings.h"

namespace nsr::reclaim {

struct SurveyRequest {
    /// Only the file systems that these paths lie on; all, where there are none.
    std::vector<std::string> paths;
    /// How long a file system may be silent.
    uint64_t silence_usec = 60'000'000;
    /// Told now and then: what is being looked at, and how many inodes there have been.
    std::function<void(const std::string& what, uint64_t inodes)> progress;
};

struct Survey {
    Findings findings;
    uint64_t inodes = 0;
    size_t file_systems = 0;
};

/// Looks for ids of the pools at everything that can outlive a namespace: file systems of all mount namespaces, IPC,
/// keys, processes and what they have open. Only as root of the host, in its first user and process namespaces (EPERM):
/// elsewhere neither ids nor processes are all seen. What could not be looked at is among the findings' problems; an
/// Error is a failure that leaves nothing to say. Afterwards the process is in a
/// mount namespace of its own, its root and working directory that one's root.
Result<Survey> survey(const SurveyRequest& request);

}  // namespace nsr::reclaim
