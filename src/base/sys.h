// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

/// System calls as functions that give errors as values. Paths are relative to the directory descriptor where there is
/// one; BorrowedFd(AT_FDCWD) is the current directory. Every descriptor is made close-on-exec.
namespace nsr::sys {

extern const BorrowedFd kCwd;

Result<UniqueFd> open_at(BorrowedFd dir, const std::string& path, int flags, mode_t mode = 0);
Result<struct stat> stat_fd(BorrowedFd fd);
/// Does not follow a symbolic link at the end.
Result<struct stat> stat_at(BorrowedFd dir, const std::string& path);
/// Follows symbolic links.
Result<struct stat> stat_target(const std::string& path);
Status mkdir_at(BorrowedFd dir, const std::string& path, mode_t mode);
/// No error where the directory is there already; the mode is then left alone.
Status ensure_directory(BorrowedFd dir, const std::string& path, mode_t mode);
Status unlink_at(BorrowedFd dir, const std::string& path, int flags = 0);
Status link_at(BorrowedFd from_dir, const std::string& from, BorrowedFd to_dir, const std::string& to);
Status rename_at(BorrowedFd from_dir, const std::string& from, BorrowedFd to_dir, const std::string& to);
/// fchmod(2): what the umask took away from a new file or directory is given back.
Status set_mode(BorrowedFd fd, mode_t mode);
Status symlink_at(const std::string& target, BorrowedFd dir, const std::string& path);
Result<std::vector<std::string>> list_directory(BorrowedFd dir, const std::string& path);

/// Writes all of it, or fails.
Status write_all(BorrowedFd fd, std::string_view data);
/// The whole file, of which no more than `limit` bytes are allowed (EFBIG).
Result<std::string> read_all(BorrowedFd fd, size_t limit);
/// A regular file, not through a symbolic link; never blocks on a FIFO or device that somebody put there.
Result<std::string> read_file_at(BorrowedFd dir, const std::string& path, size_t limit);
/// Fills the whole buffer from this offset on, or fails (EBADMSG: the file ends before).
Status read_at(BorrowedFd fd, std::span<char> buffer, uint64_t offset);
/// Writes all of it at this offset, or fails.
Status write_at(BorrowedFd fd, std::string_view data, uint64_t offset);
/// fdatasync(2) and fsync(2): wait for the disk.
Status sync_data(BorrowedFd fd);
Status sync_all(BorrowedFd fd);
/// The value of an extended attribute, of which no more than `limit` bytes are allowed (ERANGE).
Result<std::string> get_xattr(BorrowedFd fd, const char* name, size_t limit);
Status set_xattr(BorrowedFd fd, const char* name, std::string_view value);
/// flock(2), which belongs to the open file description; waits for whoever has it.
Status lock_exclusively(BorrowedFd fd);
/// The same, but waits no longer than `timeout_usec` (ETIMEDOUT).
Status lock_exclusively(BorrowedFd fd, uint64_t timeout_usec);

/// CLOCK_MONOTONIC, in microseconds.
uint64_t now_usec();
/// Waits until one of the descriptors is ready or `timeout_usec` is over (0 ready); interrupted waits go on.
Result<size_t> poll(std::span<struct ::pollfd> fds, uint64_t timeout_usec);

Result<struct ucred> peer_credentials(BorrowedFd socket);
/// A descriptor of the process's own user namespace.
Result<UniqueFd> own_user_namespace();

struct FdPair {
    UniqueFd first, second;
};
Result<FdPair> socket_pair(int type);

}  // namespace nsr::sys
