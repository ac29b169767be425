// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::pool {

/// How many log lines each user has caused in a minute, in memory that the manager and its workers share: a user who is
/// served by all of them has one quota. The first few lines of a minute are written; the others are counted, and the
/// manager writes how many there were when the minute is over.
///
/// No function but create() and attach() makes a system call.
class LogQuota {
public:
    /// So many lines of a user are written in a minute.
    static constexpr uint32_t kLines = 5;
    /// So many users have an account of their own in a minute; all others share that of log::kUnknownUser.
    static constexpr size_t kAccounts = 512;

    /// For the manager: an empty one, behind a descriptor that workers inherit.
    static Result<LogQuota> create();
    /// For a worker.
    static Result<LogQuota> attach(UniqueFd fd);

    LogQuota(LogQuota&& other) noexcept : fd_(std::move(other.fd_)), page_(std::exchange(other.page_, nullptr)) {}
    LogQuota& operator=(LogQuota&&) = delete;
    ~LogQuota();

    BorrowedFd fd() const { return fd_.borrow(); }

    /// Minutes of CLOCK_MONOTONIC.
    static uint64_t this_minute();
    /// Counts a line of the user, and decides about it.
    log::Verdict count(Uid user, uint64_t minute);

    struct LeftOut {
        Uid user;
        uint32_t lines;
        bool operator==(const LeftOut&) const = default;
    };
    /// What was left out in a minute that is over, the most first; the minute's accounts are closed.
    std::vector<LeftOut> close(uint64_t minute);

private:
    /// User and lines in one word, so that both change at once; 0: free.
    using Account = std::atomic<uint64_t>;
    struct Minute {
        std::array<Account, kAccounts> accounts;
        Account shared;
    };
    /// Lines of the minute that has just begun are counted in one, while the manager closes the other.
    struct Page {
        std::array<Minute, 2> minutes;
    };

    LogQuota(UniqueFd fd, Page* page) : fd_(std::move(fd)), page_(page) {}
    static Result<LogQuota> map(UniqueFd fd);
    Minute& at(uint64_t minute) { return page_->minutes[minute % 2]; }

    UniqueFd fd_;
    Page* page_;
};

/// From now on lines that are written on behalf of a uid (log::OnBehalfOf) are bounded, by the user whom `user_of` says
/// the uid counts as; it is called until the end of the process.
void bound_log(std::shared_ptr<LogQuota> quota, std::function<Uid(Uid)> user_of);

}  // namespace nsr::pool
