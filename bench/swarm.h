// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attack.h"

namespace nsr::bench {

/// Many connections in one process of an attacker, each of the next of so many ids, which no other process of the
/// attack has. What the service closes is opened again.
class Swarm {
public:
    struct Actions {
        std::function<void(BorrowedFd)> on_open;
        /// Something came; what is read is for the action to do.
        std::function<void(BorrowedFd)> on_readable = {};
        /// There is room for more.
        std::function<void(BorrowedFd)> on_writable = {};
    };

    Swarm(const Target& target, size_t connections, uint32_t ids, Actions actions);

    /// Until the process is killed.
    [[noreturn]] void run();

private:
    void open(size_t place);

    const Target& target_;
    uint32_t ids_, next_id_ = 0;
    Actions actions_;
    UniqueFd epoll_;
    std::vector<UniqueFd> connections_;
};

}  // namespace nsr::bench
