// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/watched_file.h"

#include <fcntl.h>

#include "base/sys.h"

namespace nsr::ranges {

Result<std::optional<std::string>> WatchedFile::content_if_changed() {
    auto now = FileStamp::of(path_);
    if (now && now->is_same_state(seen_)) return std::optional<std::string>();
    seen_ = FileStamp();
    if (!now) return Failure(std::move(now).error());
    if (!now->is_absent()) return TRY_WITHIN(path_, read());
    seen_ = *now;
    return std::string();
}

Result<std::string> WatchedFile::read() {
    // Links are followed, for some distributions make them here; a FIFO or device is not waited for.
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, path_, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat st = TRY(sys::stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode)) return fail(EBADF, "not a regular file");
    FileStamp stamp(st);
    std::string content = TRY(sys::read_all(fd.borrow(), limit_));
    seen_ = stamp;
    return content;
}

}  // namespace nsr::ranges
