// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ranges/bitmap.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// Which ranges are taken: one bit for each, in memory that all processes of an instance share. Finding the last free
/// one of 28,664 in the registry itself would mean to list 115,000 files. With the registry lock held, a bit is set
/// before the first file of a range is made, and cleared after the last one is removed; so a range whose bit is not set
/// is free. A second set of bits holds ranges whose records were lost, until the next boot.
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
    bool is_set(Uid start) const;
    Bitmap snapshot(const Pool& pool) const;
    std::vector<Uid> starts() const;
    /// Forgets everything but what is held, and sets these.
    void rebuild(std::span<const Uid> starts);

    /// All that are taken now stay taken, whatever is cleared.
    void hold();
    bool holds_any() const;

private:
    explicit TakenMap(std::span<uint8_t> bytes) : bytes_(bytes) {}
    uint8_t load(size_t byte) const;

    std::span<uint8_t> bytes_;
};

}  // namespace nsr::ranges
