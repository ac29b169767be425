// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <linux/io_uring.h>
#include <string>

#include "base/fd.h"

namespace nsr::channels {

/// A ring of the kernel's for system calls that are made by somebody else, one at a time.
class Ring {
public:
    /// Flags of io_uring_setup(2). Nothing to be closed, but to be asked by ok(), where there is none.
    explicit Ring(unsigned flags);
    ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    /// 0, or the errno value that there is no ring for.
    int code() const { return code_; }
    BorrowedFd fd() const { return fd_.borrow(); }
    /// IORING_REGISTER_PERSONALITY: the number under which the caller's credentials can be used, or -errno.
    int lend_credentials();
    /// What the operation answered: 0 or more, or -errno; lacking operations are EINVAL.
    int run(const io_uring_sqe& operation);

private:
    int map(const io_uring_params& parameters);

    UniqueFd fd_;
    int code_ = 0;
    bool polled_ = false;
    char* rings_ = nullptr;
    size_t rings_size_ = 0;
    io_uring_sqe* entries_ = nullptr;
    size_t entries_size_ = 0;
    io_uring_params parameters_{};
};

/// Operations, ready to be run.
io_uring_sqe open_entry(const std::string& path, unsigned flags);
io_uring_sqe path_entry(uint8_t operation, const std::string& path, unsigned mode);
io_uring_sqe two_paths_entry(uint8_t operation, const std::string& from, const std::string& to);

}  // namespace nsr::channels
