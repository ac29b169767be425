// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/watched_file.h"

#include <fcntl.h>
#include <chrono>

#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr auto kSettled = std::chrono::milliseconds(100);

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool unchanged(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && same(a.st_mtim, b.st_mtim) &&
           same(a.st_ctim, b.st_ctim);
}

// The kernel stamps files by a clock that ticks every few milliseconds: a write right after our read could leave the
// stamps as they are. So a file that has just changed is not remembered.
bool is_settled(const struct stat& st) {
    auto changed = std::chrono::seconds(st.st_ctim.tv_sec) + std::chrono::nanoseconds(st.st_ctim.tv_nsec);
    return std::chrono::system_clock::now().time_since_epoch() - changed > kSettled;
}

}  // namespace

Result<std::optional<std::string>> WatchedFile::content_if_changed() {
    auto now = sys::stat_target(path_);
    if (!now && now.error().code() != ENOENT) {
        seen_ = Seen::kNothing;
        return Failure(std::move(now).error());
    }
    if (!now) {
        if (seen_ == Seen::kAbsent) return std::optional<std::string>();
        seen_ = Seen::kAbsent;
        return std::string();
    }
    if (seen_ == Seen::kContent && unchanged(*now, stat_)) return std::optional<std::string>();
    seen_ = Seen::kNothing;
    return TRY_WITHIN(path_, read());
}

Result<std::string> WatchedFile::read() {
    // Links are followed, for some distributions make them here; a FIFO or device is not waited for.
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, path_, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat st = TRY(sys::stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode)) return fail(EBADF, "not a regular file");
    bool settled = is_settled(st);
    std::string content = TRY(sys::read_all(fd.borrow(), limit_));
    if (settled) {
        stat_ = st;
        seen_ = Seen::kContent;
    }
    return content;
}

}  // namespace nsr::ranges
