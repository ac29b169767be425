// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/taken_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr size_t bytes_of(const Pool& pool) { return (pool.count() + 7) / 8; }
constexpr size_t kSize = bytes_of(kContainerPool) + bytes_of(kDynamicPool);

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
    if (!S_ISREG(st.st_mode) || (st.st_size != 0 && static_cast<size_t>(st.st_size) != kSize))
        return fail(EBADMSG, "taken is not a file of this service");
    int result = ftruncate(fd.get(), kSize);
    int code = errno;
    if (result < 0) return fail_errno(code, "ftruncate taken");
    void* bytes = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    code = errno;
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

Bitmap TakenMap::snapshot(const Pool& pool) const {
    std::vector<uint8_t> copy(bytes_of(pool));
    auto from = bytes_.subspan(offset_of(pool), copy.size());
    std::ranges::transform(from, copy.begin(), [](uint8_t& byte) { return std::atomic_ref(byte).load(); });
    return Bitmap(pool.count(), copy);
}

void TakenMap::rebuild(std::span<const Uid> starts) {
    std::vector<uint8_t> bits(kSize);
    for (Uid start : starts)
        if (auto place = place_of(start)) bits[place->byte] = static_cast<uint8_t>(bits[place->byte] | place->mask);
    for (size_t i = 0; i < kSize; ++i) std::atomic_ref(bytes_[i]).store(bits[i]);
}

}  // namespace nsr::ranges
