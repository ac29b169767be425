// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/taken_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <atomic>
#include <optional>
#include <vector>

#include "base/allocate.h"
#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr size_t bytes_of(const Pool& pool) { return (pool.count() + 7) / 8; }
/// The bits of both pools, and then those that are held. An earlier version has the former only.
constexpr size_t kBits = bytes_of(kContainerPool) + bytes_of(kDynamicPool);
constexpr size_t kSize = 2 * kBits;

constexpr size_t offset_of(const Pool& pool) { return pool == kContainerPool ? 0 : bytes_of(kContainerPool); }

struct Place {
    size_t byte;
    uint8_t mask;
};

std::optional<Place> place_of(Uid start) {
    const Pool* pool = pool_of_id(start.value);
    auto index = pool ? pool->index_of(start) : std::nullopt;
    if (!index) return std::nullopt;
    return Place{offset_of(*pool) + *index / 8, static_cast<uint8_t>(1u << (*index % 8))};
}

}  // namespace

Result<TakenMap> TakenMap::open(BorrowedFd dir) {
    UniqueFd fd = TRY(sys::open_at(dir, "taken", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600));
    auto st = TRY(sys::stat_fd(fd.borrow()));
    auto size = static_cast<size_t>(st.st_size);
    if (!S_ISREG(st.st_mode) || (size != 0 && size != kBits && size != kSize))
        return fail(EBADMSG, "taken is not a file of this service");
    Status allocated = sys::allocate(fd.borrow(), kSize, "taken");
    // An empty one would be taken for the trace of an instance that has run.
    if (!allocated && size == 0) static_cast<void>(sys::unlink_at(dir, "taken"));
    TRY(std::move(allocated));
    void* bytes = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    int code = errno;
    if (bytes == MAP_FAILED) return fail_errno(code, "mmap taken");
    return TakenMap(std::span(static_cast<uint8_t*>(bytes), kSize));
}

TakenMap::~TakenMap() {
    if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

void TakenMap::set(Uid start) {
    if (auto place = place_of(start)) std::atomic_ref(bytes_[place->byte]).fetch_or(place->mask);
}

void TakenMap::clear(Uid start) {
    if (auto place = place_of(start))
        std::atomic_ref(bytes_[place->byte]).fetch_and(static_cast<uint8_t>(~place->mask));
}

bool TakenMap::is_set(Uid start) const {
    auto place = place_of(start);
    if (!place) return false;
    return ((load(place->byte) | load(kBits + place->byte)) & place->mask) != 0;
}

uint8_t TakenMap::load(size_t byte) const { return std::atomic_ref(bytes_[byte]).load(); }

Bitmap TakenMap::snapshot(const Pool& pool) const {
    std::vector<uint8_t> copy(bytes_of(pool));
    size_t offset = offset_of(pool);
    for (size_t i = 0; i < copy.size(); ++i)
        copy[i] = static_cast<uint8_t>(load(offset + i) | load(kBits + offset + i));
    return Bitmap(pool.count(), copy);
}

std::vector<Uid> TakenMap::starts() const {
    std::vector<Uid> starts;
    for (const auto* pool : {&kContainerPool, &kDynamicPool}) {
        Bitmap bits = snapshot(*pool);
        for (uint32_t index = 0; index < bits.size(); ++index)
            if (bits.test(index)) starts.push_back(pool->start_of(index));
    }
    return starts;
}

void TakenMap::rebuild(std::span<const Uid> starts) {
    std::vector<uint8_t> bits(kBits);
    for (Uid start : starts)
        if (auto place = place_of(start)) bits[place->byte] = static_cast<uint8_t>(bits[place->byte] | place->mask);
    for (size_t i = 0; i < kBits; ++i) std::atomic_ref(bytes_[i]).store(bits[i]);
}

void TakenMap::hold() {
    for (size_t i = 0; i < kBits; ++i) std::atomic_ref(bytes_[kBits + i]).fetch_or(load(i));
}

bool TakenMap::holds_any() const {
    for (size_t i = 0; i < kBits; ++i)
        if (load(kBits + i) != 0) return true;
    return false;
}

}  // namespace nsr::ranges
