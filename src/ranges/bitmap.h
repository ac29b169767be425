// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nsr::ranges {

/// One bit for each range of a pool, by index; bit i is bit i%8 of byte i/8. Indexes must be below size().
class Bitmap {
public:
    explicit Bitmap(uint32_t size) : size_(size), bytes_((size + 7) / 8) {}
    /// Takes the bits from as many bytes as a bitmap of this size has; what is beyond the last bit is ignored.
    Bitmap(uint32_t size, std::span<const uint8_t> bytes);

    uint32_t size() const { return size_; }
    bool test(uint32_t index) const { return (bytes_[index / 8] >> (index % 8) & 1) != 0; }
    void set(uint32_t index) { bytes_[index / 8] = static_cast<uint8_t>(bytes_[index / 8] | 1u << (index % 8)); }
    void clear(uint32_t index) { bytes_[index / 8] = static_cast<uint8_t>(bytes_[index / 8] & ~(1u << (index % 8))); }
    /// How many bits are set.
    uint32_t count() const;
    /// The same with each bit turned around.
    Bitmap inverted() const;
    /// Of the same size: sets what the other one has, clears what the other one has.
    Bitmap& operator|=(const Bitmap& other);
    Bitmap& operator-=(const Bitmap& other);
    std::span<const uint8_t> bytes() const { return bytes_; }

private:
    void drop_tail();

    uint32_t size_;
    std::vector<uint8_t> bytes_;
};

}  // namespace nsr::ranges
