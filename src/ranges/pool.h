// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/types.h"

namespace nsr::ranges {

/// A part of the id space that is handed out in ranges of one size, back to back (interface.md section 2,
/// AllocateUserRange). Uids and gids are handed out alike, so one number speaks of both.
struct Pool {
    /// The first and the last id of the pool, both included.
    uint32_t first, last;
    /// Ids in one range.
    uint32_t size;

    /// How many ranges there are; indexes run from 0 to count()-1.
    constexpr uint32_t count() const { return (last - first + 1) / size; }
    /// The first id of a range; `index` is below count().
    constexpr Uid start_of(uint32_t index) const { return Uid(first + index * size); }
    constexpr bool contains(uint32_t id) const { return id >= first && id <= last; }
    /// The index of the range that begins at exactly this id, if one does.
    constexpr std::optional<uint32_t> index_of(Uid start) const {
        if (!contains(start.value) || (start.value - first) % size != 0) return std::nullopt;
        return (start.value - first) / size;
    }
    constexpr bool operator==(const Pool&) const = default;
};

inline constexpr Pool kContainerPool{524288, 1879048191, 65536};
inline constexpr Pool kDynamicPool{61184, 65519, 1};

inline constexpr std::array kPools{&kContainerPool, &kDynamicPool};

/// The pool whose ranges have this size; null where there is none.
constexpr const Pool* pool_for_size(uint32_t size) {
    if (size == kContainerPool.size) return &kContainerPool;
    return size == kDynamicPool.size ? &kDynamicPool : nullptr;
}

/// The pool that an id (of any member of a range) lies in; null where it is no transient id.
constexpr const Pool* pool_of_id(uint32_t id) {
    if (kContainerPool.contains(id)) return &kContainerPool;
    return kDynamicPool.contains(id) ? &kDynamicPool : nullptr;
}

/// The start of the range that an id lies in; nothing where it is no transient id.
constexpr std::optional<Uid> range_start_of(uint32_t id) {
    const Pool* pool = pool_of_id(id);
    if (!pool) return std::nullopt;
    return pool->start_of((id - pool->first) / pool->size);
}

}  // namespace nsr::ranges
