// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/user_copy.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::ranges {

namespace {

constexpr char kName[] = "users";
constexpr char kNewName[] = "users.new";
constexpr char kDamagedName[] = "users.damaged";
constexpr uint64_t kLockUsec = 5'000'000;
constexpr int kMaxAttempts = 10;

// The file: 8 bytes that name the format and its version, a checksum of what follows, the marks.
constexpr std::string_view kMagic = "nsrusers";
constexpr size_t kHeaderSize = kMagic.size() + sizeof(uint64_t);
constexpr size_t kFileSize = kHeaderSize + UserTable::kMarks * sizeof(uint32_t);

uint64_t checksum(std::string_view file) {
    auto content = file.substr(kHeaderSize);
    return XXH3_64bits(content.data(), content.size());
}

std::string to_text(const std::vector<uint32_t>& marks) {
    std::string text(kMagic);
    text.resize(kFileSize);
    memcpy(&text[kHeaderSize], marks.data(), marks.size() * sizeof marks[0]);
    uint64_t sum = checksum(text);
    memcpy(&text[kMagic.size()], &sum, sizeof sum);
    return text;
}

Result<std::vector<uint32_t>> parse(std::string_view text) {
    if (text.size() != kFileSize || !text.starts_with(kMagic)) return fail(EBADMSG, "it is of an unknown format");
    uint64_t sum = 0;
    memcpy(&sum, &text[kMagic.size()], sizeof sum);
    if (sum != checksum(text)) return fail(EBADMSG, "its checksum is wrong");
    std::vector<uint32_t> marks(UserTable::kMarks);
    memcpy(marks.data(), &text[kHeaderSize], marks.size() * sizeof marks[0]);
    return marks;
}

// Locked, so that of two that write at the same time one comes after the other; what a killed one left is used again.
// A process that has waited finds the name gone, or of another file, and tries anew.
Result<UniqueFd> open_new_file(BorrowedFd dir) {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
        UniqueFd fd = TRY(sys::open_at(dir, kNewName, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600));
        TRY_WITHIN(kNewName, sys::lock_exclusively(fd.borrow(), kLockUsec));
        auto ours = TRY(sys::stat_fd(fd.borrow()));
        auto named = sys::stat_at(dir, kNewName);
        if (named && named->st_ino == ours.st_ino && S_ISREG(ours.st_mode)) return fd;
    }
    return fail(EBUSY, "{} is written by others all the time", kNewName);
}

Result<std::vector<uint32_t>> read_copy(BorrowedFd dir) {
    UniqueFd fd = TRY(sys::open_at(dir, kName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    auto st = TRY(sys::stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode)) return fail(EBADMSG, "it is not a regular file");
    if ((st.st_mode & 022) != 0) return fail(EPERM, "it can be written to by others than its owner");
    return parse(TRY(sys::read_all(fd.borrow(), kFileSize)));
}

}  // namespace

Status save_users(const UserTable& users, BorrowedFd state_dir) {
    UniqueFd fd = TRY(open_new_file(state_dir));
    std::string text = to_text(users.marks());
    if (ftruncate(fd.get(), 0) < 0) return fail_errno(errno, kNewName);
    TRY_WITHIN(kNewName, sys::write_at(fd.borrow(), text, 0));
    TRY_WITHIN(kNewName, sys::sync_all(fd.borrow()));
    TRY(sys::rename_at(state_dir, kNewName, state_dir, kName));
    UniqueFd directory = TRY(sys::open_at(state_dir, ".", O_RDONLY | O_DIRECTORY));
    return sys::sync_all(directory.borrow());
}

// The copy says who is charged for what, not what is used: without it shares begin anew, and that is no reason to
// serve no user.
Result<std::vector<uint32_t>> load_users(BorrowedFd state_dir) {
    auto marks = read_copy(state_dir);
    if (marks) return marks;
    if (marks.error().code() == ENOENT) return std::vector<uint32_t>();
    // What cannot be read now may be in order.
    constexpr std::array kDamage{EBADMSG, EPERM, ELOOP, EFBIG, ENXIO, EISDIR};
    if (std::ranges::find(kDamage, marks.error().code()) == kDamage.end()) return marks;
    log::warning(
        "Copy of the table of users: {}; it is set aside as {}, and what users have used up before is forgotten",
        marks.error().what(), kDamagedName);
    TRY(sys::rename_at(state_dir, kName, state_dir, kDamagedName));
    return std::vector<uint32_t>();
}

}  // namespace nsr::ranges
