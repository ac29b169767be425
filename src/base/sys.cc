// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

namespace nsr::sys {

const BorrowedFd kCwd(AT_FDCWD);

namespace {

Status outcome(int result, std::string_view call, std::string_view path) {
    if (result >= 0) return {};
    int code = errno;
    return fail_errno(code, fmt::format("{} {}", call, path));
}

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};

}  // namespace

Result<UniqueFd> open_at(BorrowedFd dir, const std::string& path, int flags, mode_t mode) {
    UniqueFd fd(::openat(dir.get(), path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    int code = errno;
    return fail_errno(code, fmt::format("open {}", path));
}

Result<struct stat> stat_fd(BorrowedFd fd) {
    struct stat st{};
    if (::fstat(fd.get(), &st) == 0) return st;
    int code = errno;
    return fail_errno(code, "fstat");
}

Result<struct stat> stat_at(BorrowedFd dir, const std::string& path) {
    struct stat st{};
    if (::fstatat(dir.get(), path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return st;
    int code = errno;
    return fail_errno(code, fmt::format("stat {}", path));
}

Result<struct stat> stat_target(const std::string& path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) return st;
    int code = errno;
    return fail_errno(code, fmt::format("stat {}", path));
}

Status mkdir_at(BorrowedFd dir, const std::string& path, mode_t mode) {
    return outcome(::mkdirat(dir.get(), path.c_str(), mode), "mkdir", path);
}

Status ensure_directory(BorrowedFd dir, const std::string& path, mode_t mode) {
    Status made = mkdir_at(dir, path, mode);
    if (made || made.error().code() != EEXIST) return made;
    auto st = TRY(stat_at(dir, path));
    if (!S_ISDIR(st.st_mode)) return fail(ENOTDIR, "{} is not a directory", path);
    return {};
}

Status unlink_at(BorrowedFd dir, const std::string& path, int flags) {
    return outcome(::unlinkat(dir.get(), path.c_str(), flags), "unlink", path);
}

Status link_at(BorrowedFd from_dir, const std::string& from, BorrowedFd to_dir, const std::string& to) {
    return outcome(::linkat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str(), 0), "link", to);
}

Status rename_at(BorrowedFd from_dir, const std::string& from, BorrowedFd to_dir, const std::string& to) {
    return outcome(::renameat(from_dir.get(), from.c_str(), to_dir.get(), to.c_str()), "rename", to);
}

Status set_mode(BorrowedFd fd, mode_t mode) { return outcome(::fchmod(fd.get(), mode), "fchmod", "descriptor"); }

Status symlink_at(const std::string& target, BorrowedFd dir, const std::string& path) {
    return outcome(::symlinkat(target.c_str(), dir.get(), path.c_str()), "symlink", path);
}

Result<std::vector<std::string>> list_directory(BorrowedFd dir, const std::string& path) {
    UniqueFd fd = TRY(open_at(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
    if (!directory) {
        int code = errno;
        return fail_errno(code, fmt::format("list {}", path));
    }
    static_cast<void>(fd.release());
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        struct dirent* entry = ::readdir(directory.get());
        if (!entry) break;
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    int code = errno;
    if (code != 0) return fail_errno(code, fmt::format("list {}", path));
    return names;
}

Status write_all(BorrowedFd fd, std::string_view data) {
    while (!data.empty()) {
        ssize_t n = ::write(fd.get(), data.data(), data.size());
        int code = errno;
        if (n < 0 && code == EINTR) continue;
        if (n < 0) return fail_errno(code, "write");
        data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Result<std::string> read_all(BorrowedFd fd, size_t limit) {
    std::string data;
    char buffer[4096];
    for (;;) {
        ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        int code = errno;
        if (n < 0 && code == EINTR) continue;
        if (n < 0) return fail_errno(code, "read");
        if (n == 0) return data;
        data.append(buffer, static_cast<size_t>(n));
        if (data.size() > limit) return fail(EFBIG, "file larger than {} bytes", limit);
    }
}

Result<std::string> read_file_at(BorrowedFd dir, const std::string& path, size_t limit) {
    UniqueFd fd = TRY(open_at(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    auto st = TRY(stat_fd(fd.borrow()));
    if (!S_ISREG(st.st_mode)) return fail(EBADF, "{} is not a regular file", path);
    return TRY_WITHIN(path, read_all(fd.borrow(), limit));
}

Status read_at(BorrowedFd fd, std::span<char> buffer, uint64_t offset) {
    while (!buffer.empty()) {
        ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
        int code = errno;
        if (n < 0 && code == EINTR) continue;
        if (n < 0) return fail_errno(code, "pread");
        if (n == 0) return fail(EBADMSG, "file ends too early");
        buffer = buffer.subspan(static_cast<size_t>(n));
        offset += static_cast<size_t>(n);
    }
    return {};
}

Status write_at(BorrowedFd fd, std::string_view data, uint64_t offset) {
    while (!data.empty()) {
        ssize_t n = ::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
        int code = errno;
        if (n < 0 && code == EINTR) continue;
        if (n < 0) return fail_errno(code, "pwrite");
        data.remove_prefix(static_cast<size_t>(n));
        offset += static_cast<size_t>(n);
    }
    return {};
}

Result<std::string> get_xattr(BorrowedFd fd, const char* name, size_t limit) {
    std::string value(limit, '\0');
    ssize_t size = ::fgetxattr(fd.get(), name, value.data(), value.size());
    int code = errno;
    if (size < 0) return fail_errno(code, fmt::format("read attribute {}", name));
    value.resize(static_cast<size_t>(size));
    return value;
}

Status set_xattr(BorrowedFd fd, const char* name, std::string_view value) {
    return outcome(::fsetxattr(fd.get(), name, value.data(), value.size(), 0), "set attribute", name);
}

Status sync_data(BorrowedFd fd) {
    if (::fdatasync(fd.get()) == 0) return {};
    int code = errno;
    return fail_errno(code, "fdatasync");
}

Status sync_all(BorrowedFd fd) {
    if (::fsync(fd.get()) == 0) return {};
    int code = errno;
    return fail_errno(code, "fsync");
}

Status lock_exclusively(BorrowedFd fd) {
    while (::flock(fd.get(), LOCK_EX) < 0) {
        int code = errno;
        if (code != EINTR) return fail_errno(code, "flock");
    }
    return {};
}

Status lock_exclusively(BorrowedFd fd, uint64_t timeout_usec) {
    uint64_t end = now_usec() + timeout_usec;
    // flock(2) has no deadline of its own, and a signal to end it would be a signal to the whole process.
    for (useconds_t pause_usec = 20;; pause_usec = std::min(pause_usec * 2, useconds_t{500})) {
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return {};
        int code = errno;
        if (code != EWOULDBLOCK && code != EINTR) return fail_errno(code, "flock");
        if (now_usec() >= end) return fail(ETIMEDOUT, "the lock was held by somebody else for too long");
        ::usleep(pause_usec);
    }
}

uint64_t now_usec() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
}

Result<size_t> poll(std::span<struct ::pollfd> fds, uint64_t timeout_usec) {
    uint64_t end = now_usec() + timeout_usec;
    for (;;) {
        uint64_t now = now_usec();
        uint64_t left = end > now ? end - now : 0;
        timespec timeout{static_cast<time_t>(left / 1'000'000), static_cast<long>(left % 1'000'000 * 1000)};
        int n = ::ppoll(fds.data(), fds.size(), &timeout, nullptr);
        int code = errno;
        if (n >= 0) return static_cast<size_t>(n);
        if (code != EINTR) return fail_errno(code, "poll");
    }
}

Result<struct ucred> peer_credentials(BorrowedFd socket) {
    struct ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) return credentials;
    int code = errno;
    return fail_errno(code, "peer credentials");
}

Result<UniqueFd> own_user_namespace() { return open_at(kCwd, "/proc/self/ns/user", O_RDONLY); }

Result<FdPair> socket_pair(int type) {
    int fds[2];
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0) return FdPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
    int code = errno;
    return fail_errno(code, "socketpair");
}

}  // namespace nsr::sys
