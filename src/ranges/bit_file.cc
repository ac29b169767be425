// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/bit_file.h"

#include <fcntl.h>
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr std::string_view kMagic = "nsrbits\x01";
constexpr uint64_t kEpochOffset = kMagic.size();
constexpr uint64_t kContainerOffset = kEpochOffset + sizeof(uint64_t);

constexpr uint64_t bytes_of(const Pool& pool) { return (pool.count() + 7) / 8; }
constexpr uint64_t kDynamicOffset = kContainerOffset + bytes_of(kContainerPool);
constexpr uint64_t kFileSize = kDynamicOffset + bytes_of(kDynamicPool);

uint64_t offset_of(const Pool& pool) {
    assert(pool == kContainerPool || pool == kDynamicPool);
    return pool == kContainerPool ? kContainerOffset : kDynamicOffset;
}

std::string_view as_text(std::span<const uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

constexpr uint64_t kLockUsec = 5'000'000;

/// Content, then name, then directory: wherever the power fails, the name is absent or stands for a whole file. Two
/// processes may come first at the same time: the first to link it wins. No lock on the directory, which everybody may
/// open and so hold.
Status make_file(BorrowedFd dir, const std::string& name) {
    std::string temporary = fmt::format("{}.{}", name, getpid());
    Status removed = sys::unlink_at(dir, temporary);
    if (!removed && removed.error().code() != ENOENT) return removed;
    UniqueFd fd = TRY(sys::open_at(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    std::string content(kMagic);
    content.resize(kFileSize, '\0');
    Status made = sys::write_all(fd.borrow(), content);
    if (made) made = sys::sync_data(fd.borrow());
    if (made) made = sys::link_at(dir, temporary, dir, name);
    // In any case: where there was no room for it, it would take up what room there is.
    Status gone = sys::unlink_at(dir, temporary);
    if (!made && made.error().code() != EEXIST) return Failure(std::move(made).error().within(temporary));
    TRY(std::move(gone));
    UniqueFd directory = TRY(sys::open_at(dir, ".", O_RDONLY | O_DIRECTORY));
    return sys::sync_all(directory.borrow());
}

Result<UniqueFd> open_file(BorrowedFd dir, const std::string& name) {
    return sys::open_at(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

Result<UniqueFd> open_or_make(BorrowedFd dir, const std::string& name) {
    Result<UniqueFd> found = open_file(dir, name);
    if (found || found.error().code() != ENOENT) return found;
    TRY(make_file(dir, name));
    return open_file(dir, name);
}

// Whether it is a file of ours, to the last byte.
Status check_file(BorrowedFd fd, const std::string& name) {
    struct stat st = TRY_WITHIN(name, sys::stat_fd(fd));
    if (!S_ISREG(st.st_mode)) return fail(EBADMSG, "{} is not a regular file", name);
    if ((st.st_mode & 022) != 0) return fail(EPERM, "{} can be written to by others than its owner", name);
    if (st.st_size < 0 || static_cast<uint64_t>(st.st_size) != kFileSize)
        return fail(EBADMSG, "{} has {} bytes instead of {}", name, st.st_size, kFileSize);
    std::string magic(kMagic.size(), '\0');
    TRY_WITHIN(name, sys::read_at(fd, magic, 0));
    if (magic != kMagic) return fail(EBADMSG, "{} is of an unknown format or version", name);
    return {};
}

}  // namespace

Result<BitFile> BitFile::open(BorrowedFd dir, const std::string& name) {
    UniqueFd fd = TRY(open_or_make(dir, name));
    TRY(check_file(fd.borrow(), name));
    return BitFile(std::move(fd));
}

Result<BitFile> BitFile::open_existing(BorrowedFd dir, const std::string& name) {
    UniqueFd fd = TRY(open_file(dir, name));
    TRY(check_file(fd.borrow(), name));
    return BitFile(std::move(fd));
}

bool BitFile::is_damage(const Error& error) {
    constexpr std::array kCodes{EBADMSG, ELOOP, EISDIR, ENXIO, EPERM};
    return std::ranges::find(kCodes, error.code()) != kCodes.end();
}

Result<BitFile::Lock> BitFile::lock() const {
    // flock(2) belongs to the open file description, and a forked process shares ours: only a new one excludes it.
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, fmt::format("/proc/self/fd/{}", fd_.get()), O_RDONLY));
    TRY(sys::lock_exclusively(fd.borrow(), kLockUsec));
    return Lock(std::move(fd));
}

Result<Bitmap> BitFile::read(const Pool& pool) const {
    std::string bytes(bytes_of(pool), '\0');
    TRY(sys::read_at(fd_.borrow(), bytes, offset_of(pool)));
    return Bitmap(pool.count(), {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

Status BitFile::write(const Lock&, const Pool& pool, const Bitmap& bits) {
    assert(bits.size() == pool.count());
    return sys::write_at(fd_.borrow(), as_text(bits.bytes()), offset_of(pool));
}

Status BitFile::sync() const { return sys::sync_data(fd_.borrow()); }

Result<uint64_t> BitFile::epoch() const {
    std::string bytes(sizeof(uint64_t), '\0');
    TRY(sys::read_at(fd_.borrow(), bytes, kEpochOffset));
    uint64_t epoch = 0;
    memcpy(&epoch, bytes.data(), sizeof epoch);
    return epoch;
}

Status BitFile::start_epoch(const Lock& lock, uint64_t epoch) {
    // The bits go first: killed in between, we leave the old epoch, and the next one starts again.
    TRY(write(lock, kContainerPool, Bitmap(kContainerPool.count())));
    TRY(write(lock, kDynamicPool, Bitmap(kDynamicPool.count())));
    return set_epoch(lock, epoch);
}

Status BitFile::set_epoch(const Lock&, uint64_t epoch) {
    return sys::write_at(fd_.borrow(), {reinterpret_cast<const char*>(&epoch), sizeof epoch}, kEpochOffset);
}

}  // namespace nsr::ranges
