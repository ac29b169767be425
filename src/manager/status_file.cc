// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/status_file.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <ctime>

#include <boost/json.hpp>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

constexpr char kName[] = "nsresource/status";
constexpr char kNewName[] = "nsresource/status.new";

std::string time_text(time_t seconds) {
    struct tm utc{};
    gmtime_r(&seconds, &utc);
    char text[32];
    strftime(text, sizeof text, "%F %T UTC", &utc);
    return text;
}

}  // namespace

StatusFile::~StatusFile() {
    if (auto removed = sys::unlink_at(runtime_, kName); !removed) log::debug("{}", removed.error().what());
}

Result<StatusFile::Fresh> StatusFile::count_fresh() const {
    return Fresh{TRY(context_.used_set->remaining(ranges::kContainerPool)),
                 TRY(context_.used_set->remaining(ranges::kDynamicPool))};
}

Status StatusFile::write() {
    const auto& choice = kernel_.choice();
    boost::json::object status{{"version", NSR_VERSION},
                               {"pid", getpid()},
                               {"enforcement", policy::level_to_string(choice.level)},
                               {"reason", choice.reason}};
    boost::json::array not_enforced;
    for (const auto& program : kernel_.missing())
        if (!program.leaves_open.empty()) not_enforced.emplace_back(program.leaves_open);
    if (!not_enforced.empty()) status["notEnforced"] = std::move(not_enforced);
    if (const auto& gap = kernel_.gap())
        status["lastGap"] =
            fmt::format("{} to {}: {}", time_text(gap->begin), gap->end == 0 ? "now" : time_text(gap->end), gap->what);
    if (choice.level == policy::Level::kQuarantine) {
        written_ = TRY(count_fresh());
        status["freshContainer"] = written_.containers;
        status["freshDynamic"] = written_.singles;
    }
    UniqueFd fd = TRY(sys::open_at(runtime_, kNewName, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
    Status written = sys::write_all(fd.borrow(), boost::json::serialize(status) + "\n");
    if (written) written = sys::rename_at(runtime_, kNewName, runtime_, kName);
    if (!written) static_cast<void>(sys::unlink_at(runtime_, kNewName));
    return written;
}

// Each second, not at each allocation: the figures are for people, and workers have better things to do.
Result<Source> StatusFile::refresh(EventLoop& loop) {
    auto timer = std::make_shared<UniqueFd>(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    const itimerspec every_second{.it_interval = {1, 0}, .it_value = {1, 0}};
    if (!*timer || timerfd_settime(timer->get(), 0, &every_second, nullptr) < 0) return fail_errno(errno, "timer");
    return loop.watch_fd(timer->borrow(), EPOLLIN, [this, timer] {
        uint64_t times = 0;
        if (read(timer->get(), &times, sizeof times) < 0) return;
        if (kernel_.choice().level != policy::Level::kQuarantine) return;
        auto fresh = count_fresh();
        if (!fresh || *fresh == written_) return;
        if (auto written = write(); !written) log::debug("status: {}", written.error().what());
    });
}

}  // namespace nsr::manager
