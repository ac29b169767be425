// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ranges/bitmap.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// Ids from `first` to `last`, both included: one line of what a parent namespace maps, seen from inside it.
struct IdInterval {
    uint32_t first, last;
};

/// For the service's own user namespace, which is not restricted.
inline constexpr IdInterval kAllIds{0, UINT32_MAX - 1};

/// The ranges of a pool in the order in which a name tries them: it begins at a place derived from the name, visits
/// each range exactly once, and jumps about the pool, so that different names do not crowd. Same name, same pool, same
/// allowed ids: same order, in every run. Only ranges that lie wholly inside one of the allowed intervals count, since
/// the kernel maps no range across two lines of the parent's map (user_namespaces(7)).
///
/// Use: `next()` for the first few, with a cheap look into the registry for each; when all of these are taken,
/// make the bitmap of what is taken, once, and ask first_free(), which finds the very last one too.
class Candidates {
public:
    /// How many ranges next() gives.
    static constexpr uint32_t kProbes = 8;

    Candidates(const Pool& pool, std::span<const IdInterval> allowed, std::string_view name);

    const Pool& pool() const { return *pool_; }
    /// How many ranges may be used at all; 0: the caller's error is DynamicRangeUnavailable, not NoDynamicRange.
    uint32_t count() const { return count_; }
    /// The index of the next range to try, until kProbes or count() were given.
    std::optional<uint32_t> next();
    /// The index of the first range in this order, from its beginning, that is not in `taken` (as many bits as the pool
    /// has ranges); nothing: all are taken (NoDynamicRange). Pure arithmetic, some 100 µs at most.
    std::optional<uint32_t> first_free(const Bitmap& taken) const;

private:
    struct Run {
        uint32_t position;  // of its first index among all allowed ones
        uint32_t first, count;
    };
    uint32_t index_at(uint32_t position) const;
    uint32_t step(uint32_t position) const;

    const Pool* pool_;
    std::vector<Run> runs_;
    uint32_t count_ = 0;
    uint32_t origin_ = 0;
    uint32_t stride_ = 0;
    uint32_t probe_position_ = 0;
    uint32_t probes_ = 0;
};

}  // namespace nsr::ranges
