// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "ranges/bitmap.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// A file with one bit for each range of both pools: 8 bytes that name the format and its version, 8 bytes for the
/// epoch (a number that its user gives a meaning to), then the container pool's bits and the dynamic pool's, as in
/// Bitmap. 4,141 bytes, always.
class BitFile {
public:
    /// Held by whoever changes the file; each one excludes all others, of any process, until it goes.
    class Lock {
    public:
        explicit Lock(UniqueFd fd) : fd_(std::move(fd)) {}

    private:
        UniqueFd fd_;
    };

    /// Opens the file or, where there is none, makes one with no bit set and epoch 0 (mode 0600), durably: content
    /// first, then name. A file that is not ours to the last byte is an error and is left as it is, for to make a new
    /// one would be to forget what was recorded: ELOOP (symbolic link), EBADMSG (FIFO, other size, format or version),
    /// EPERM (others may write to it). The directory must be able to do flock(2).
    static Result<BitFile> open(BorrowedFd dir, const std::string& name);
    /// The same, but where there is none that is an error (ENOENT).
    static Result<BitFile> open_existing(BorrowedFd dir, const std::string& name);
    /// Whether an error of these two says that the file is not ours.
    static bool is_damage(const Error& error);

    Result<Lock> lock() const;
    Result<Bitmap> read(const Pool& pool) const;
    /// Changed bits may reach the disk in any mixture with old ones until sync() has succeeded.
    Status write(const Lock& lock, const Pool& pool, const Bitmap& bits);
    Status sync() const;

    Result<uint64_t> epoch() const;
    Status set_epoch(const Lock& lock, uint64_t epoch);
    /// No bit set, and a new epoch.
    Status start_epoch(const Lock& lock, uint64_t epoch);

    BorrowedFd fd() const { return fd_.borrow(); }

private:
    explicit BitFile(UniqueFd fd) : fd_(std::move(fd)) {}

    UniqueFd fd_;
};

}  // namespace nsr::ranges
