// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/registry_guard.h"

#include "base/log.h"
#include "lifecycle/home.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kPauseUsec = 1'000'000;

}  // namespace

Status RegistryGuard::start(EventLoop& loop) {
    timer_ = TRY(loop.make_timer([this] {
        look();
        timer_.fire_after(kPauseUsec);
    }));
    timer_.fire_after(kPauseUsec);
    return {};
}

// An attempt that fails is made again; what is wrong is logged once.
void RegistryGuard::look() {
    if (lifecycle::verify_home(instance_)) {
        is_lost_ = false;
        return;
    }
    Status replaced = lifecycle::replace_home(instance_, runtime_dir_);
    if (replaced) return on_change_();
    if (!std::exchange(is_lost_, true))
        log::error("The registry was emptied, moved or replaced, and none can be made, so that no range is given: {}",
                   replaced.error().what());
}

}  // namespace nsr::manager
