// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::policy {

/// A program that is attached to a function (Form::kFunction) is not run for a task while another task, preempted in
/// the same program, waits on the same processor; the function goes on as if it had been asked. That can happen only on
/// kernels with preemption, and the kernel counts it (bpf_prog_info, recursion_misses). Nobody knows what was left out:
/// so of a namespace in whose time the count went up, the ranges are not handed out again at once.
class MissedCalls {
public:
    MissedCalls() = default;
    /// Ids of the programs in question; none where all are hooks.
    explicit MissedCalls(std::vector<uint32_t> programs) : programs_(std::move(programs)) {}

    bool are_possible() const { return !programs_.empty(); }
    const std::vector<uint32_t>& programs() const { return programs_; }
    /// Since the programs were loaded. One system call for each program, and one more the first time.
    Result<uint64_t> count() const;

private:
    Status open_programs() const;

    std::vector<uint32_t> programs_;
    std::shared_ptr<std::vector<UniqueFd>> open_ = std::make_shared<std::vector<UniqueFd>>();
};

}  // namespace nsr::policy
