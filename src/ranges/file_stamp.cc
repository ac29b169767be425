// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/file_stamp.h"

#include <chrono>

#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr auto kSettled = std::chrono::milliseconds(100);

bool same(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

// The kernel stamps files by a clock that ticks every few milliseconds: a write right after our read could leave the
// stamps as they are. So a file that has just changed is not remembered.
bool is_settled(const struct stat& st) {
    auto changed = std::chrono::seconds(st.st_ctim.tv_sec) + std::chrono::nanoseconds(st.st_ctim.tv_nsec);
    return std::chrono::system_clock::now().time_since_epoch() - changed > kSettled;
}

}  // namespace

Result<FileStamp> FileStamp::of(const std::string& path) {
    auto st = sys::stat_target(path);
    if (st) return FileStamp(*st);
    if (st.error().code() != ENOENT) return Failure(std::move(st).error());
    FileStamp absent;
    absent.kind_ = Kind::kAbsent;
    return absent;
}

FileStamp::FileStamp(const struct stat& st) : kind_(is_settled(st) ? Kind::kSettled : Kind::kNew), stat_(st) {}

bool FileStamp::is_same_state(const FileStamp& other) const {
    if (kind_ == Kind::kAbsent || other.kind_ == Kind::kAbsent) return kind_ == other.kind_;
    if (kind_ != Kind::kSettled || other.kind_ != Kind::kSettled) return false;
    return stat_.st_dev == other.stat_.st_dev && stat_.st_ino == other.stat_.st_ino &&
           stat_.st_size == other.stat_.st_size && same(stat_.st_mtim, other.stat_.st_mtim) &&
           same(stat_.st_ctim, other.stat_.st_ctim);
}

}  // namespace nsr::ranges
