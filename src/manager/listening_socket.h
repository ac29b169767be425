// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::manager {

/// The socket that clients connect to: the one that the service manager passed (sd_listen_fds(3)), or one of our own.
class ListeningSocket {
public:
    /// `passed` is used where there is one. EADDRINUSE if somebody answers at the path already.
    static Result<ListeningSocket> acquire(const std::string& runtime_dir, UniqueFd passed);

    ListeningSocket(ListeningSocket&&) = default;
    ListeningSocket& operator=(ListeningSocket&&) = delete;
    /// Removes the socket and its symbolic links if they are our own.
    ~ListeningSocket();

    BorrowedFd fd() const { return fd_.borrow(); }
    /// Made here, not passed.
    bool is_own() const { return !own_path_.empty(); }

private:
    ListeningSocket(UniqueFd fd, std::string own_path) : fd_(std::move(fd)), own_path_(std::move(own_path)) {}

    static Result<UniqueFd> make(const std::string& path);

    UniqueFd fd_;
    std::string own_path_;  // empty: passed
};

}  // namespace nsr::manager
