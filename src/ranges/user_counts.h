// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/types.h"

namespace nsr::ranges {

/// A number for each of some users, in memory that processes share: a hash table with open addressing. One process at a
/// time may change it; others see each number old or new, and may miss one while another is removed. A process that is
/// killed in a change leaves a table that may have a user twice, until clear().
class UserCounts {
public:
    static constexpr size_t kSlots = 32768;
    static constexpr size_t kBytes = kSlots * sizeof(uint64_t);

    /// Over memory that is all zero at first, of kBytes, aligned for uint64_t.
    explicit UserCounts(std::span<std::byte> bytes);

    uint32_t get(Uid user) const;
    /// ENOSPC: there is no room for another user.
    Status add(Uid user, uint32_t number);
    /// One less, if there is one.
    void remove(Uid user);
    void clear();

private:
    uint64_t load(size_t slot) const;
    void store(size_t slot, uint64_t value);
    size_t find(Uid user) const;
    void erase(size_t slot);

    uint64_t* slots_;
};

}  // namespace nsr::ranges
