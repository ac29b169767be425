// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/bitmap.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace nsr::ranges {

Bitmap::Bitmap(uint32_t size, std::span<const uint8_t> bytes) : size_(size), bytes_(bytes.begin(), bytes.end()) {
    assert(bytes.size() == (size + 7) / 8);
    drop_tail();
}

// Counting and comparing look at whole bytes, so bits that stand for no range must be 0.
void Bitmap::drop_tail() {
    if (size_ % 8 != 0) bytes_.back() = static_cast<uint8_t>(bytes_.back() & ((1u << (size_ % 8)) - 1));
}

// By words: without a processor's own instruction a count of bits costs the same for 8 bits and for 64, and this is on
// the way of each allocation.
uint32_t Bitmap::count() const {
    int total = 0;
    size_t done = 0;
    for (uint64_t word = 0; bytes_.size() - done >= sizeof word; done += sizeof word) {
        memcpy(&word, &bytes_[done], sizeof word);
        total += std::popcount(word);
    }
    for (; done < bytes_.size(); done++) total += std::popcount(bytes_[done]);
    return static_cast<uint32_t>(total);
}

Bitmap Bitmap::inverted() const {
    Bitmap other(*this);
    for (uint8_t& byte : other.bytes_) byte = static_cast<uint8_t>(~byte);
    other.drop_tail();
    return other;
}

Bitmap& Bitmap::operator|=(const Bitmap& other) {
    assert(other.size_ == size_);
    for (size_t i = 0; i < bytes_.size(); i++) bytes_[i] = static_cast<uint8_t>(bytes_[i] | other.bytes_[i]);
    return *this;
}

Bitmap& Bitmap::operator-=(const Bitmap& other) {
    assert(other.size_ == size_);
    for (size_t i = 0; i < bytes_.size(); i++) bytes_[i] = static_cast<uint8_t>(bytes_[i] & ~other.bytes_[i]);
    return *this;
}

}  // namespace nsr::ranges
