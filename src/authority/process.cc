// SPDX-License-Identifier: LGPL-2.1-or-later
#include "authority/process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys.h"

// Linux 6.5; not in the headers of Debian 12.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace nsr::authority {

namespace {

constexpr size_t kStatLimit = 64 * 1024;

Result<std::string> read_proc(pid_t pid, std::string_view file) {
    auto text = sys::read_file_at(sys::kCwd, fmt::format("/proc/{}/{}", pid, file), kStatLimit);
    if (!text && text.error().code() == ENOENT) return fail(ESRCH, "process {} has exited", pid);
    return text;
}

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> result;
    for (size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string_view::npos;) {
        size_t end = std::min(line.find_first_of(" \t", at), line.size());
        result.push_back(line.substr(at, end - at));
        at = end;
    }
    return result;
}

template <class Number>
Result<Number> to_number(std::string_view text) {
    Number value{};
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size()) return fail(EBADMSG, "\"{}\" is no number", text);
    return value;
}

// The second field is the name that the process gave itself, with whatever blanks and parentheses it liked: only the
// last closing one is the kernel's.
Result<uint64_t> start_time_of(pid_t pid) {
    constexpr size_t kStartTime = 22 - 3;  // fields count from 1, and those before the third are cut off
    std::string text = TRY(read_proc(pid, "stat"));
    size_t name_end = text.rfind(')');
    auto fields = words(name_end == std::string::npos ? "" : std::string_view(text).substr(name_end + 1));
    if (fields.size() <= kStartTime) return fail(EBADMSG, "/proc/{}/stat is too short", pid);
    return to_number<uint64_t>(fields[kStartTime]);
}

// Real, effective, saved or file system uid.
Status require_uid(pid_t pid, Uid uid) {
    std::string text = TRY(read_proc(pid, "status"));
    constexpr std::string_view kLabel = "\nUid:";
    size_t begin = text.find(kLabel);
    if (begin == std::string::npos) return fail(EBADMSG, "/proc/{}/status has no uids", pid);
    begin += kLabel.size();
    std::string_view line = std::string_view(text).substr(begin, text.find('\n', begin) - begin);
    for (std::string_view word : words(line))
        if (TRY(to_number<uint32_t>(word)) == uid.value) return {};
    return fail(EPERM, "process {} is not one of uid {}", pid, uid);
}

Result<UniqueFd> open_pidfd(BorrowedFd socket, pid_t pid, Uid uid) {
    int fd = -1;
    socklen_t size = sizeof fd;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0) return UniqueFd(fd);
    int code = errno;
    // What else there is (EINVAL, ENODATA, ESRCH, by kernel) means that the process was gone before it was asked for.
    if (code != ENOPROTOOPT) return fail(ESRCH, "process {} has exited", pid);

    // An older kernel: somebody else may have the pid by now. The caller could arrange that by leaving the connection
    // to a child and exiting; what is left to it, after this check, is to pass for another process of its own.
    // glibc 2.36 declares pidfd_open() in a way that does not link in C++.
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    code = errno;
    if (!pidfd) return fail_errno(code, fmt::format("pidfd of process {}", pid));
    TRY(require_uid(pid, uid));
    return pidfd;
}

}  // namespace

Result<Process> Process::behind(BorrowedFd socket, pid_t pid, Uid uid) {
    if (pid <= 0) return fail(ESRCH, "the caller is in no pid namespace of ours");
    Process process(TRY(open_pidfd(socket, pid, uid)), pid);
    process.start_time_ = TRY(start_time_of(pid));
    // Alive now means that the pid was its own all the time, and that what we read in /proc was about it.
    TRY(process.require_alive());
    return process;
}

Status Process::require_alive() const {
    struct pollfd poll{pidfd_.get(), POLLIN, 0};
    if (TRY(sys::poll({&poll, 1}, 0)) > 0) return fail(ESRCH, "process {} has exited", pid_);
    return {};
}

}  // namespace nsr::authority
