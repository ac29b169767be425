// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>

#include "manager/event_loop.h"
#include "pool/log_quota.h"

namespace nsr::manager {

/// Writes, once a minute, how many log lines of each user were left out.
class LogSummary {
public:
    explicit LogSummary(std::shared_ptr<pool::LogQuota> quota);
    LogSummary(const LogSummary&) = delete;
    LogSummary& operator=(const LogSummary&) = delete;

    Status start(EventLoop& loop);
    /// Also of the minute that is not over yet; when no worker is left.
    void finish();

private:
    void tick();
    void write(uint64_t minute);

    std::shared_ptr<pool::LogQuota> quota_;
    uint64_t minute_;  ///< that is not closed yet
    Source timer_;
};

}  // namespace nsr::manager
