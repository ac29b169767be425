// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/user_counts.h"

#include <atomic>
#include <cassert>

namespace nsr::ranges {

namespace {

constexpr size_t kNone = UserCounts::kSlots;

// A slot is 0, or a user and 1 in its upper half and the number in its lower half.
constexpr uint64_t slot_of(Uid user, uint32_t number) { return (uint64_t{user.value} + 1) << 32 | number; }
constexpr Uid user_in(uint64_t slot) { return Uid(static_cast<uint32_t>((slot >> 32) - 1)); }
constexpr uint32_t number_in(uint64_t slot) { return static_cast<uint32_t>(slot); }

// Uids follow one another, so they share few pages, and only these are ever touched. Users cannot choose their uids.
constexpr size_t home_of(Uid user) { return user.value % UserCounts::kSlots; }
constexpr size_t next_of(size_t slot) { return (slot + 1) % UserCounts::kSlots; }

// Whether `slot` is in the part of the circle that begins after `begin` and ends with `end`.
constexpr bool is_between(size_t begin, size_t slot, size_t end) {
    return begin <= end ? begin < slot && slot <= end : begin < slot || slot <= end;
}

}  // namespace

UserCounts::UserCounts(std::span<std::byte> bytes) : slots_(reinterpret_cast<uint64_t*>(bytes.data())) {
    assert(bytes.size() == kBytes);
}

uint64_t UserCounts::load(size_t slot) const { return std::atomic_ref(slots_[slot]).load(); }

void UserCounts::store(size_t slot, uint64_t value) { std::atomic_ref(slots_[slot]).store(value); }

// The slot of the user, or else the first free one, or kNone.
size_t UserCounts::find(Uid user) const {
    size_t slot = home_of(user);
    for (size_t visited = 0; visited < kSlots; ++visited, slot = next_of(slot)) {
        uint64_t value = load(slot);
        if (value == 0 || user_in(value) == user) return slot;
    }
    return kNone;
}

uint32_t UserCounts::get(Uid user) const {
    size_t slot = find(user);
    return slot == kNone ? 0 : number_in(load(slot));
}

Status UserCounts::add(Uid user, uint32_t number) {
    size_t slot = find(user);
    if (slot == kNone) return fail(ENOSPC, "more than {} users have registrations", kSlots);
    store(slot, slot_of(user, number_in(load(slot)) + number));
    return {};
}

void UserCounts::remove(Uid user) {
    size_t slot = find(user);
    uint64_t value = slot == kNone ? 0 : load(slot);
    if (value == 0) return;
    if (number_in(value) > 1) return store(slot, value - 1);
    erase(slot);
}

// What follows is moved forward where the gap would part it from its home. It is there twice for a moment, and never
// missing for a reader that comes later.
void UserCounts::erase(size_t slot) {
    size_t gap = slot, other = next_of(slot);
    for (; other != slot; other = next_of(other)) {
        uint64_t value = load(other);
        if (value == 0) break;
        if (is_between(gap, home_of(user_in(value)), other)) continue;
        store(gap, value);
        gap = other;
    }
    store(gap, 0);
}

void UserCounts::clear() {
    for (size_t slot = 0; slot < kSlots; ++slot)
        if (load(slot) != 0) store(slot, 0);
}

}  // namespace nsr::ranges
