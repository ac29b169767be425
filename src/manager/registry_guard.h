// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>

#include "lifecycle/instance.h"
#include "manager/event_loop.h"

namespace nsr::manager {

/// Looks once a second whether the registry is still the one that the service works on. If another process has emptied,
/// moved or replaced it, workers refuse to change anything, and the service goes on with a new one: see
/// lifecycle/home.h.
class RegistryGuard {
public:
    /// `on_change`: workers have to be started anew.
    RegistryGuard(lifecycle::Instance& instance, std::string runtime_dir, std::function<void()> on_change)
        : instance_(instance), runtime_dir_(std::move(runtime_dir)), on_change_(std::move(on_change)) {}

    Status start(EventLoop& loop);

private:
    void look();

    lifecycle::Instance& instance_;
    std::string runtime_dir_;
    std::function<void()> on_change_;
    Source timer_;
    bool is_lost_ = false;
};

}  // namespace nsr::manager
