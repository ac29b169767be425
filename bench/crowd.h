// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "child.h"
#include "instance.h"
#include "samples.h"

namespace nsr::bench {

/// Many registrations, of as many users as the limit per user makes necessary, kept alive by processes that hold the
/// descriptors of their namespaces (no process may hold all of them).
class Crowd {
public:
    static constexpr size_t kPerUser = 256;

    /// Registers so many more, each uid on one connection; how long each took is added to `samples`, and how long the
    /// bare kernel work did, between each two of them, to `floor` if there is one.
    Status grow(const Instance& instance, size_t count, Samples& samples, Samples* floor = nullptr);
    /// Lets all namespaces die, at once.
    void release();
    /// Waits until no user of this crowd has a registration.
    Status wait_until_released(const Instance& instance) const;

private:
    Status hold();

    std::vector<Uid> users_;
    size_t last_user_count_ = kPerUser;
    std::vector<UniqueFd> namespaces_;
    std::vector<Child> holders_;
};

}  // namespace nsr::bench
