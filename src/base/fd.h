// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <utility>

namespace nsr {

/// A descriptor that somebody else owns and keeps open for as long as this is used.
class BorrowedFd {
public:
    constexpr BorrowedFd() = default;
    explicit constexpr BorrowedFd(int fd) : fd_(fd) {}

    constexpr int get() const { return fd_; }
    explicit constexpr operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// The owner of a descriptor; closes it. close(2) is never tried again: the descriptor is gone whatever it answers.
class UniqueFd {
public:
    constexpr UniqueFd() = default;
    explicit constexpr UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    BorrowedFd borrow() const { return BorrowedFd(fd_); }
    explicit operator bool() const { return fd_ >= 0; }
    /// Gives up ownership; the caller must close what is returned.
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

}  // namespace nsr
