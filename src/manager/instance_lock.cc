// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <csignal>
#include <string_view>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxProcFile = 16384;
constexpr useconds_t kPauseUsec = 20'000;
/// In the ninth field of /proc/PID/stat (proc(5)): the kernel's PF_EXITING.
constexpr unsigned kExitingFlag = 0x4;
/// comm of the processes that take these locks.
constexpr std::string_view kHolders[] = {"nsresourced\n", "nsresourcework\n"};

std::string read_proc(const std::string& pid, const char* file) {
    return sys::read_file_at(sys::kCwd, fmt::format("/proc/{}/{}", pid, file), kMaxProcFile).value_or("");
}

// The name in the second field may have spaces and parentheses: fields are counted from its end.
bool is_exiting(std::string_view stat) {
    size_t at = stat.rfind(')');
    for (int field = 2; field < 9 && at != stat.npos; ++field) at = stat.find(' ', at + 1);
    unsigned flags = 0;
    if (at != stat.npos) std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), flags);
    return (flags & kExitingFlag) != 0;
}

// The mask of a line such as "ShdPnd:\t0000000000000100".
bool has_pending_kill(std::string_view status, std::string_view key) {
    size_t at = status.find(key);
    uint64_t mask = 0;
    if (at != status.npos) std::from_chars(status.data() + at + key.size(), status.data() + status.size(), mask, 16);
    return (mask >> (SIGKILL - 1) & 1) != 0;
}

// Nothing of our own code runs in it any more.
bool is_ending(const std::string& pid, std::string_view status) {
    return is_exiting(read_proc(pid, "stat")) || has_pending_kill(status, "ShdPnd:\t") ||
           has_pending_kill(status, "SigPnd:\t");
}

// A user may give a process any name, and as many descriptors as it takes to look at them for long.
bool is_of_root(std::string_view status) { return status.find("\nUid:\t0\t") != status.npos; }

bool has_open(const std::string& pid, const struct stat& file) {
    std::string directory = fmt::format("/proc/{}/fd", pid);
    auto names = sys::list_directory(sys::kCwd, directory);
    return names && std::ranges::any_of(*names, [&](const std::string& name) {
               auto st = sys::stat_target(directory + "/" + name);
               return st && st->st_dev == file.st_dev && st->st_ino == file.st_ino;
           });
}

// Whether the lock is certainly held by processes only that will not run any more.
bool is_abandoned(BorrowedFd lock) {
    auto file = sys::stat_fd(lock);
    auto processes = sys::list_directory(sys::kCwd, "/proc");
    if (!file || !processes) return false;
    std::string own = std::to_string(getpid());
    return std::ranges::none_of(*processes, [&](const std::string& pid) {
        if (pid.find_first_not_of("0123456789") != pid.npos || pid == own) return false;
        bool may_hold = std::ranges::find(kHolders, read_proc(pid, "comm")) != std::end(kHolders);
        if (!may_hold) return false;
        std::string status = read_proc(pid, "status");
        return is_of_root(status) && !is_ending(pid, status) && has_open(pid, *file);
    });
}

Result<UniqueFd> try_lock(BorrowedFd runtime, const std::string& path) {
    UniqueFd fd = TRY(sys::open_at(runtime, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
        // Another instance may have put a new file in its place.
        struct stat ours = TRY(sys::stat_fd(fd.borrow()));
        auto there = sys::stat_at(runtime, path);
        if (there && there->st_ino == ours.st_ino) return fd;
        return UniqueFd();
    }
    int code = errno;
    if (code != EWOULDBLOCK && code != EINTR) return fail_errno(code, "flock");
    if (!is_abandoned(fd.borrow())) return UniqueFd();
    log::warning("Processes of an earlier instance are held in the kernel; they are left to themselves");
    TRY(sys::unlink_at(runtime, path));
    return UniqueFd();
}

}  // namespace

Result<UniqueFd> take_lock(BorrowedFd runtime, const std::string& path, uint64_t patience_usec) {
    uint64_t end = sys::now_usec() + patience_usec;
    for (;;) {
        {
            // One instance at a time looks and replaces: the lock of the directory is held for no longer than that.
            UniqueFd directory = TRY(sys::open_at(runtime, "nsresource", O_RDONLY | O_DIRECTORY));
            TRY(sys::lock_exclusively(directory.borrow(), patience_usec));
            UniqueFd fd = TRY_WITHIN(path, try_lock(runtime, path));
            if (fd) return fd;
        }
        if (sys::now_usec() >= end) return fail(ETIMEDOUT, "{}: the lock is held by a running process", path);
        usleep(kPauseUsec);
    }
}

}  // namespace nsr::manager
