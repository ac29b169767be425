// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/missed_calls.h"

#include "policy/bpf_call.h"

namespace nsr::policy {

Status MissedCalls::open_programs() const {
    if (open_->size() == programs_.size()) return {};
    open_->clear();
    for (uint32_t id : programs_) open_->push_back(TRY(program_by_id(id)));
    return {};
}

Result<uint64_t> MissedCalls::count() const {
    TRY(open_programs());
    uint64_t sum = 0;
    for (const auto& program : *open_) {
        auto info = TRY(object_info<bpf_prog_info>(program.borrow()));
        sum += info.recursion_misses;
    }
    return sum;
}

}  // namespace nsr::policy
