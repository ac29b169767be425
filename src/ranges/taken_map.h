// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "ranges/bitmap.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// Which ranges are taken, as a hint: one bit for each, in memory that all processes of an instance share. Finding the
/// last free one of 28,664 in the registry itself would mean to list 115,000 files. A bit may be wrong, since nothing
/// orders it with the records: who finds a free one looks into the registry, and who finds none rebuilds the hint.
class TakenMap {
public:
    /// `<dir>/taken`, made (0600) if it is not there. EBADMSG if it is not a file of ours.
    static Result<TakenMap> open(BorrowedFd dir);

    TakenMap(TakenMap&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    TakenMap& operator=(TakenMap&&) = delete;
    ~TakenMap();

    /// What begins no range of a pool is passed over.
    void set(Uid start);
    void clear(Uid start);
    Bitmap snapshot(const Pool& pool) const;
    /// Forgets everything and sets these.
    void rebuild(std::span<const Uid> starts);

private:
    explicit TakenMap(std::span<uint8_t> bytes) : bytes_(bytes) {}

    std::span<uint8_t> bytes_;
};

}  // namespace nsr::ranges
