// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "ranges/bit_file.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// Which ranges were used before this boot and not since: `<state_dir>/used-before`, as the first start of the service
/// in this boot found them. Only these can be reclaimed. What was used in this boot may be kept where no tool can look:
/// a program that is unlinked and still runs, a file in the queue of a socket or registered with io_uring. All these
/// end with the boot.
///
/// Its epoch is that of the boot it speaks of (boot_epoch()), 0 in a new file. Its bits only go down within a boot. An
/// error or a kill anywhere leaves fewer of them, never more. Nothing waits for the disk: a power failure ends the
/// boot. All changes are made with the lock on `used` held, but for those of start_epoch() in begin_boot().
class UsedBefore {
public:
    /// kAfterReclaim: a used range is handed out again only after a reclaim. kAtOnce: whenever it is free, and no file
    /// tells (the level `none`).
    enum class Reuse { kAfterReclaim, kAtOnce };

    /// For the service at its start, before a range is handed out, and before anything but its locks is made in the
    /// runtime directory; it must be the only instance on these directories.
    ///
    /// The first start in a boot records what is used by then. Any other leaves the record as it is, and one that finds
    /// that ranges of this boot may be among those used (an instance that kept no record has been at work, or the
    /// record is damaged) records that none is known to be older. So does kAtOnce.
    static Status begin_boot(BorrowedFd state_dir, BorrowedFd runtime_dir, Reuse reuse);

    /// The record as it is; nothing is made. Without a readable one no range is known to be older than this boot.
    static Result<UsedBefore> open(BorrowedFd state_dir);

    enum class Record { kNone, kOfThisBoot };
    Result<Record> record() const;

    /// Ranges that were used before this boot; none where there is no record of it.
    Result<Bitmap> read(const Pool& pool) const;
    /// These are used now. With the lock on `used`, before anything else is done with them.
    Status remove(const BitFile::Lock& used_lock, const Pool& pool, const Bitmap& ranges);

private:
    explicit UsedBefore(std::optional<BitFile> file) : file_(std::move(file)) {}

    std::optional<BitFile> file_;
};

}  // namespace nsr::ranges
