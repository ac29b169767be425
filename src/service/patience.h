// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

namespace nsr::service {

/// For a name or a range whose holder may just be dying: the kernel takes a namespace away some time after its last
/// process (credentials are freed by RCU), so a caller who has waited for the end of that process is asked to wait a
/// little longer, not refused.
class Patience {
public:
    enum class Wait { kOver, kGoOn };
    /// Sleeps for a moment, a longer one each time, of 250 ms in all. kOver: those have passed.
    Wait wait();

private:
    uint64_t end_usec_ = 0;
    uint64_t pause_usec_ = 1'000;
};

}  // namespace nsr::service
