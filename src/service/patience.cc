// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/patience.h"

#include <unistd.h>
#include <algorithm>

#include "base/sys.h"

namespace nsr::service {

namespace {

constexpr uint64_t kPatienceUsec = 250'000;
constexpr uint64_t kLongestPauseUsec = 16'000;

}  // namespace

Patience::Wait Patience::wait() {
    uint64_t now = sys::now_usec();
    if (end_usec_ == 0) end_usec_ = now + kPatienceUsec;
    if (now >= end_usec_) return Wait::kOver;
    usleep(static_cast<useconds_t>(std::min(pause_usec_, end_usec_ - now)));
    pause_usec_ = std::min(2 * pause_usec_, kLongestPauseUsec);
    return Wait::kGoOn;
}

}  // namespace nsr::service
