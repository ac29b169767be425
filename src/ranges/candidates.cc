// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/candidates.h"

#include <xxhash.h>
#include <algorithm>
#include <cassert>
#include <numeric>

namespace nsr::ranges {

namespace {

/// Indexes of a pool, the last one not included.
struct Indexes {
    uint32_t begin, end;
};

/// The ranges that lie wholly inside the interval.
std::optional<Indexes> indexes_inside(const Pool& pool, IdInterval ids) {
    if (ids.last < ids.first || ids.last < pool.first || ids.first > pool.last) return std::nullopt;
    uint32_t first = std::max(ids.first, pool.first) - pool.first;
    uint32_t end = std::min(ids.last, pool.last) - pool.first + 1;
    Indexes inside{first / pool.size + (first % pool.size != 0 ? 1 : 0), end / pool.size};
    if (inside.begin >= inside.end) return std::nullopt;
    return inside;
}

/// A step that visits all of `count` places before it comes back, and is neither short nor nearly a whole round.
uint32_t stride_for(uint32_t count, uint64_t hash) {
    if (count < 4) return 1;
    uint32_t stride = count / 4 + static_cast<uint32_t>(hash % (count / 2));
    while (std::gcd(stride, count) != 1) stride++;  // ends at count - 1, the latest
    return stride;
}

}  // namespace

Candidates::Candidates(const Pool& pool, std::span<const IdInterval> allowed, std::string_view name) : pool_(&pool) {
    std::vector<Indexes> pieces;
    for (IdInterval ids : allowed)
        if (auto inside = indexes_inside(pool, ids)) pieces.push_back(*inside);
    std::ranges::sort(pieces, {}, &Indexes::begin);

    uint32_t covered = 0;
    for (auto [begin, end] : pieces) {
        begin = std::max(begin, covered);  // intervals that overlap must not give a range two places
        if (begin >= end) continue;
        runs_.push_back(Run{count_, begin, end - begin});
        count_ += end - begin;
        covered = end;
    }
    if (count_ == 0) return;

    XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
    origin_ = static_cast<uint32_t>(hash.low64 % count_);
    stride_ = stride_for(count_, hash.high64);
    probe_position_ = origin_;
}

uint32_t Candidates::index_at(uint32_t position) const {
    auto after = std::ranges::upper_bound(runs_, position, {}, &Run::position);
    const Run& run = *(after - 1);
    return run.first + (position - run.position);
}

uint32_t Candidates::step(uint32_t position) const {
    position += stride_;
    return position >= count_ ? position - count_ : position;
}

std::optional<uint32_t> Candidates::next() {
    if (probes_ == std::min(kProbes, count_)) return std::nullopt;
    uint32_t index = index_at(probe_position_);
    probe_position_ = step(probe_position_);
    probes_++;
    return index;
}

std::optional<uint32_t> Candidates::first_free(const Bitmap& taken) const {
    assert(taken.size() == pool_->count());
    uint32_t position = origin_;
    for (uint32_t visited = 0; visited < count_; visited++, position = step(position)) {
        uint32_t index = index_at(position);
        if (!taken.test(index)) return index;
    }
    return std::nullopt;
}

}  // namespace nsr::ranges
