// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/log_summary.h"

#include <algorithm>

#include "base/log.h"

namespace nsr::manager {

namespace {

using pool::LogQuota;

constexpr uint64_t kTickUsec = 1'000'000;
/// Users who are named in a minute's summary; the others are counted together, since many users are no reason for a
/// long log either.
constexpr size_t kMaxNamed = 16;

}  // namespace

LogSummary::LogSummary(std::shared_ptr<LogQuota> quota) : quota_(std::move(quota)), minute_(LogQuota::this_minute()) {}

Status LogSummary::start(EventLoop& loop) {
    timer_ = TRY(loop.make_timer([this] { tick(); }));
    timer_.fire_after(kTickUsec);
    return {};
}

// A worker that looked at the clock just before the end of the minute may count its line after this: then the line is
// among those of the next minute but one.
void LogSummary::tick() {
    uint64_t now = LogQuota::this_minute();
    if (now != minute_) write(std::exchange(minute_, now));
    timer_.fire_after(kTickUsec);
}

void LogSummary::write(uint64_t minute) {
    auto left_out = quota_->close(minute);
    uint64_t others = 0;
    size_t named = 0;
    for (const auto& [user, lines] : left_out) {
        if (user == log::kUnknownUser || named == kMaxNamed) {
            others += lines;
            continue;
        }
        ++named;
        log::warning("Uid {} caused {} more log lines within a minute, which were left out", user, lines);
    }
    if (others > 0)
        log::warning("Other users and jobs caused {} more log lines within a minute, which were left out", others);
}

void LogSummary::finish() {
    timer_ = Source();
    write(minute_);
    write(minute_ + 1);  // may have begun since the last tick
}

}  // namespace nsr::manager
