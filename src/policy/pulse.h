// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::policy {

/// Whether the kernel runs the programs that are attached. kernel.ftrace_enabled=0 stops all of them at once, and no
/// link, pin or error tells. So the manager makes calls that each family of programs is asked about, and looks whether
/// they were counted (map "beats", layout.h). The calls change nothing that another process can see.
class Pulse {
public:
    /// For a policy that was just proven; all that is counted then is looked at from then on. EPROTO: a family that is
    /// always there was not counted.
    static Result<Pulse> create(BorrowedFd beats);

    /// The families of which no program was run; none where a call failed before the kernel came to ask. Some 20 system
    /// calls. By the manager only, whose counter has no other writer.
    Result<std::vector<std::string_view>> silent() const;

private:
    explicit Pulse(UniqueFd place) : place_(std::move(place)) {}

    UniqueFd place_;  ///< the root of a file system in memory that is mounted nowhere
    BorrowedFd beats_;
    std::vector<size_t> families_;
};

}  // namespace nsr::policy
