// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/record_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <array>

#include "base/sys.h"

namespace nsr::registry {

namespace {

// Three system calls for all but very large records: look-ups of users are the hot path, and a start reads every
// record. O_NONBLOCK is for a FIFO.
Result<std::string> read_whole(BorrowedFd dir, const std::string& file) {
    UniqueFd fd = TRY(sys::open_at(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    std::array<char, 4096> start;
    ssize_t n = ::pread(fd.get(), start.data(), start.size(), 0);
    int code = errno;
    if (n < 0 && (code == ESPIPE || code == EISDIR)) return fail(EBADMSG, "{}: not a regular file", file);
    if (n < 0) return fail_errno(code, fmt::format("read {}", file));
    if (static_cast<size_t>(n) < start.size()) return std::string(start.data(), static_cast<size_t>(n));
    auto st = TRY(sys::stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode)) return fail(EBADMSG, "{}: not a regular file", file);
    auto size = static_cast<uint64_t>(st.st_size);
    if (size > kMaxFileSize) return fail(EBADMSG, "{}: larger than {} bytes", file, kMaxFileSize);
    std::string text(size, '\0');
    TRY_WITHIN(file, sys::read_at(fd.borrow(), text, 0));
    return text;
}

}  // namespace

bool is_fault_of_file(int code) {
    return code == ELOOP || code == ENXIO || code == EFBIG || code == EISDIR || code == EBADF || code == EBADMSG;
}

Result<std::optional<Registration>> read_record(BorrowedFd dir, const std::string& file) {
    auto text = read_whole(dir, file);
    if (!text && text.error().code() == ENOENT) return std::nullopt;
    if (!text && is_fault_of_file(text.error().code())) return fail(EBADMSG, "{}", text.error().what());
    if (!text) return std::unexpected(std::move(text).error());
    return TRY_WITHIN(file, parse_registration(*text));
}

Result<std::optional<FileId>> identify_file(BorrowedFd dir, const std::string& file) {
    auto st = sys::stat_at(dir, file);
    if (!st && st.error().code() == ENOENT) return std::nullopt;
    if (!st) return std::unexpected(std::move(st).error());
    return FileId{st->st_dev, st->st_ino};
}

bool is_same_registration(const Registration& a, const Registration& b) {
    return a.userns == b.userns && a.owner == b.owner && a.name == b.name && a.range == b.range;
}

}  // namespace nsr::registry
