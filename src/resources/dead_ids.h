// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/types.h"

namespace nsr::resources {

/// Ids that nobody has any more, and that somebody else is to get.
class DeadIds {
public:
    /// The `size` uids from `start`, and the `size` gids from `start_gid`.
    void add(Uid start, Gid start_gid, uint32_t size) {
        uids_.push_back({start.value, size});
        gids_.push_back({start_gid.value, size});
    }
    bool has(Uid uid) const { return has(uids_, uid.value); }
    bool has(Gid gid) const { return has(gids_, gid.value); }
    bool empty() const { return uids_.empty(); }

private:
    struct Range {
        uint32_t start;
        uint32_t size;
    };
    static bool has(const std::vector<Range>& ranges, uint32_t id) {
        return std::ranges::any_of(ranges, [&](Range range) { return id - range.start < range.size; });
    }

    std::vector<Range> uids_;
    std::vector<Range> gids_;
};

}  // namespace nsr::resources
