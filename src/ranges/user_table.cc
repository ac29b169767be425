// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/user_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>

#include "base/allocate.h"
#include "base/log.h"
#include "base/sys.h"
#include "ranges/user_counts.h"

namespace nsr::ranges {

namespace {

constexpr char kName[] = "users";
constexpr char kDamagedName[] = "users.damaged";
constexpr uint64_t kTurnUsec = 1'000'000;

// The file: when the next turn is (8 bytes), a mark for each range of the container pool and then of the dynamic pool
// (4 bytes: the user and 1, or 0 where none is known), and the counts of registrations.
constexpr size_t kMarksOffset = sizeof(uint64_t);
constexpr size_t kCountsOffset = kMarksOffset + UserTable::kMarks * sizeof(uint32_t);
constexpr size_t kSize = kCountsOffset + UserCounts::kBytes;
static_assert(kCountsOffset % alignof(uint64_t) == 0);

using Mark = std::atomic_ref<uint32_t>;

constexpr size_t first_mark_of(const Pool& pool) { return pool == kContainerPool ? 0 : kContainerPool.count(); }

uint32_t* marks_in(std::span<std::byte> bytes) { return reinterpret_cast<uint32_t*>(&bytes[kMarksOffset]); }

UserCounts counts_in(std::span<std::byte> bytes) { return UserCounts(bytes.subspan(kCountsOffset)); }

// Null where no range begins.
uint32_t* mark_of(std::span<std::byte> bytes, Uid start) {
    const Pool* pool = pool_of_id(start.value);
    auto index = pool ? pool->index_of(start) : std::nullopt;
    return index ? marks_in(bytes) + first_mark_of(*pool) + *index : nullptr;
}

Result<std::span<std::byte>> map(BorrowedFd fd, int protection) {
    void* bytes = mmap(nullptr, kSize, protection, MAP_SHARED, fd.get(), 0);
    int code = errno;
    if (bytes == MAP_FAILED) return fail_errno(code, "mmap users");
    return std::span(static_cast<std::byte*>(bytes), kSize);
}

Result<std::span<std::byte>> open_and_map(BorrowedFd dir, int access, int protection) {
    UniqueFd fd = TRY(sys::open_at(dir, kName, access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    auto st = TRY(sys::stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode) || static_cast<size_t>(st.st_size) != kSize)
        return fail(EBADMSG, "users is not a table of this service");
    if (access == O_RDWR) TRY(sys::allocate(fd.borrow(), kSize, kName));
    return map(fd.borrow(), protection);
}

// A file that is too short is one whose maker was killed.
Status make_way(BorrowedFd dir) {
    auto st = sys::stat_at(dir, kName);
    if (!st && st.error().code() == ENOENT) return {};
    if (!st) return Failure(std::move(st).error());
    if (S_ISREG(st->st_mode) && static_cast<size_t>(st->st_size) < kSize) return sys::unlink_at(dir, kName);
    log::warning("{} is not a table of this service; it is set aside as {}", kName, kDamagedName);
    return sys::rename_at(dir, kName, dir, kDamagedName);
}

Status fill(BorrowedFd fd, std::span<const uint32_t> marks) {
    TRY(sys::set_mode(fd, 0644));
    std::string head(kCountsOffset, '\0');
    if (marks.size() == UserTable::kMarks) memcpy(&head[kMarksOffset], marks.data(), marks.size_bytes());
    TRY_WITHIN(kName, sys::write_at(fd, head, 0));
    return sys::allocate(fd, kSize, kName);
}

}  // namespace

Result<UserTable> UserTable::open(BorrowedFd dir) {
    return UserTable(TRY(open_and_map(dir, O_RDWR, PROT_READ | PROT_WRITE)));
}

Result<UserTable> UserTable::open_for_reading(BorrowedFd dir) {
    return UserTable(TRY(open_and_map(dir, O_RDONLY, PROT_READ)));
}

// Its size says that the file is complete, so that comes last.
Result<UserTable> UserTable::make(BorrowedFd dir, std::span<const uint32_t> marks) {
    TRY(make_way(dir));
    UniqueFd fd = TRY(sys::open_at(dir, kName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    Status filled = fill(fd.borrow(), marks);
    // Half of one is of no use, and the file system may be full.
    if (!filled) static_cast<void>(sys::unlink_at(dir, kName));
    TRY(std::move(filled));
    return UserTable(TRY(map(fd.borrow(), PROT_READ | PROT_WRITE)));
}

UserTable::~UserTable() {
    if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

Uid UserTable::user_of(Uid uid) const {
    if (uid >= kForeignUser && uid.value - kForeignUser.value < 65536) return kForeignUser;
    auto start = range_start_of(uid.value);
    uint32_t* mark = start ? mark_of(bytes_, *start) : nullptr;
    uint32_t value = mark ? Mark(*mark).load(std::memory_order_relaxed) : 0;
    return value == 0 ? uid : Uid(value - 1);
}

void UserTable::assign(Uid start, Uid user) {
    if (uint32_t* mark = mark_of(bytes_, start)) Mark(*mark).store(user.value + 1);
}

void UserTable::forget(Uid start) {
    if (uint32_t* mark = mark_of(bytes_, start)) Mark(*mark).store(0);
}

UserTable::Knowledge UserTable::knowledge_of(Uid start) const {
    uint32_t* mark = mark_of(bytes_, start);
    return mark && Mark(*mark).load() != 0 ? Knowledge::kKnown : Knowledge::kUnknown;
}

uint32_t UserTable::count_ranges(const Pool& pool, Uid user) const {
    return count_ranges(pool, user, Bitmap(pool.count()).inverted());
}

// On the way of each allocation: by blocks, which the compiler compares at once. Other processes may change a mark
// meanwhile; it is the old one or the new one then.
uint32_t UserTable::count_ranges(const Pool& pool, Uid user, const Bitmap& among) const {
    constexpr uint32_t kBlock = 8;
    static_assert(kContainerPool.count() % kBlock == 0 && kDynamicPool.count() % kBlock == 0);
    const uint32_t* marks = marks_in(bytes_) + first_mark_of(pool);
    const uint32_t wanted = user.value + 1;
    uint32_t count = 0;
    for (uint32_t begin = 0; begin < pool.count(); begin += kBlock) {
        std::array<uint32_t, kBlock> block;
        memcpy(block.data(), marks + begin, sizeof block);
        uint32_t found = 0;
        for (uint32_t mark : block) found |= static_cast<uint32_t>(mark == wanted);
        if (found == 0) continue;
        for (uint32_t i = 0; i < kBlock; ++i)
            if (block[i] == wanted && among.test(begin + i)) ++count;
    }
    return count;
}

std::vector<uint32_t> UserTable::marks() const {
    std::vector<uint32_t> copy(kMarks);
    std::transform(marks_in(bytes_), marks_in(bytes_) + kMarks, copy.begin(),
                   [](uint32_t& mark) { return Mark(mark).load(std::memory_order_relaxed); });
    return copy;
}

uint32_t UserTable::count_registrations(Uid user) const { return counts_in(bytes_).get(user); }

Status UserTable::add_registration(Uid user) { return counts_in(bytes_).add(user, 1); }

void UserTable::remove_registration(Uid user) { counts_in(bytes_).remove(user); }

Status UserTable::rebuild_counts(std::span<const Count> counts) {
    UserCounts table = counts_in(bytes_);
    table.clear();
    for (const Count& count : counts) TRY(table.add(count.user, count.registrations));
    return {};
}

// A turn that is further ahead than one can be is of another boot.
UserTable::Turn UserTable::take_turn(uint64_t now_usec) {
    std::atomic_ref next(*reinterpret_cast<uint64_t*>(bytes_.data()));
    uint64_t expected = next.load();
    if (now_usec < expected && expected - now_usec <= kTurnUsec) return Turn::kNot;
    return next.compare_exchange_strong(expected, now_usec + kTurnUsec) ? Turn::kOurs : Turn::kNot;
}

}  // namespace nsr::ranges
