// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/missed_calls.h"

#include "policy/bpf_call.h"

namespace nsr::policy {

Result<uint64_t> MissedCalls::count() const {
    uint64_t sum = 0;
    for (uint32_t id : programs_) {
        UniqueFd program = TRY(program_by_id(id));
        auto info = TRY(object_info<bpf_prog_info>(program.borrow()));
        sum += info.recursion_misses;
    }
    return sum;
}

}  // namespace nsr::policy
