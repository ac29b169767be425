// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>

#include "base/types.h"

namespace nsr::manager {

/// Remembers which users asked for something lately. While a user is alone, its requests may be served side by side;
/// once another one is active, too, each has one worker at a time: processors and locks are not divided by user.
class FairShare {
public:
    /// A user counts as active for so long after a request.
    static constexpr uint64_t kActiveUsec = 100'000;

    void note(Uid user, uint64_t now_usec);
    enum class Company { kAlone, kWithOthers };
    Company company_of(Uid user, uint64_t now_usec) const;

private:
    struct Active {
        Uid user;
        uint64_t last_usec = 0;
    };
    /// The latest two users: one of them is not the one that is asked about.
    std::array<Active, 2> latest_;
};

}  // namespace nsr::manager
