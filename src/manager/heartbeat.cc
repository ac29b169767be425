// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/heartbeat.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "namespaces/reference.h"

namespace nsr::manager {

namespace {

/// The kernel frees a namespace later, in a work item, which may have to wait. So many beats in a row without a death
/// are no delay any more.
constexpr int kMostUncounted = 10;
constexpr char kTracing[] = "/proc/sys/kernel/ftrace_enabled";

// Tracing is what all programs are attached by.
std::string_view remedy() {
    auto enabled = sys::read_file_at(sys::kCwd, kTracing, 16);
    if (enabled && enabled->starts_with('0'))
        return "kernel.ftrace_enabled is 0; with 'sysctl kernel.ftrace_enabled=1' enforcement goes on";
    return "restart the service to have the policy attached anew";
}

}  // namespace

Status Heartbeat::start(EventLoop& loop) {
    if (!kernel_.has_programs()) return {};
    auto timer = std::make_shared<UniqueFd>(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    const itimerspec every_second{.it_interval = {1, 0}, .it_value = {1, 0}};
    if (!*timer || timerfd_settime(timer->get(), 0, &every_second, nullptr) < 0) return fail_errno(errno, "timer");
    source_ = TRY(loop.watch_fd(timer->borrow(), EPOLLIN, [this, timer] {
        uint64_t times = 0;
        if (read(timer->get(), &times, sizeof times) > 0) beat();
    }));
    return {};
}

void Heartbeat::beat() {
    restore_pins();
    if (!kernel_.has_pulse()) return;  // nothing is enforced
    auto silent = silent_families();
    if (!silent) return report(Failure(std::move(silent).error()), beat_problem_);
    report({}, beat_problem_);
    count_deaths();
    if (uncounted_ >= kMostUncounted) silent->push_back("deaths of namespaces");
    if (!silent->empty() && !kernel_.is_in_gap()) begin_gap(*silent);
    // Where no namespace can be made, nothing more is to be learned of deaths.
    bool are_deaths_counted = was_death_counted_ || !is_one_dying_;
    if (silent->empty() && are_deaths_counted && kernel_.is_in_gap()) end_gap();
}

// An error that lasts is logged once.
void Heartbeat::report(const Status& outcome, std::string& last_problem) const {
    std::string problem = outcome ? "" : outcome.error().what();
    if (!problem.empty() && problem != last_problem) log::error("Kernel policy: {}", problem);
    last_problem = problem;
}

void Heartbeat::restore_pins() {
    auto restored = kernel_.restore_pins();
    if (!restored)
        return report(fail(restored.error().code(),
                           "pins were removed and cannot be made again, so that it ends with this process: {}; restart "
                           "the service",
                           restored.error().what()),
                      pin_problem_);
    report({}, pin_problem_);
    if (*restored > 0)
        log::warning(
            "Another process removed {} pins of the kernel policy, which stayed attached; they are there again",
            *restored);
}

// Keeps up to date what new entries begin with.
std::optional<uint64_t> Heartbeat::count_missed_calls() {
    auto count = kernel_.missed_calls().count();
    if (!count) return std::nullopt;
    static_cast<void>(entries_.note_missed(*count));
    return *count;
}

// A call that was left out for another reason, which is counted, says nothing.
Result<std::vector<std::string_view>> Heartbeat::silent_families() {
    auto missed_before = count_missed_calls();
    auto silent = TRY(kernel_.silent_families());
    if (!silent.empty() && count_missed_calls() != missed_before) silent.clear();
    return silent;
}

// The death of any namespace counts: also that of a stranger shows that the kernel runs the program.
void Heartbeat::count_deaths() {
    auto count = kernel_.count_deaths();
    was_death_counted_ = count && *count != deaths_;
    deaths_ = count.value_or(deaths_);
    if (was_death_counted_)
        uncounted_ = 0;
    else if (is_one_dying_)
        ++uncounted_;
    is_one_dying_ = namespaces::Reference::create().has_value();
}

void Heartbeat::begin_gap(const std::vector<std::string_view>& silent) {
    // First: workers that release a namespace go by it.
    if (auto begun = entries_.begin_gap(); !begun) log::error("Kernel policy: {}", begun.error().what());
    kernel_.begin_gap(silent);
    log::error(
        "The kernel does not run the programs of the policy for {}. Enforcement: {} now. "
        "Ranges in use are not handed out again before a reclaim; {}",
        kernel_.gap()->what, policy::level_to_string(kernel_.choice().level), remedy());
    on_change_();
}

void Heartbeat::end_gap() {
    if (auto ended = entries_.end_gap(); !ended) return report(Failure(std::move(ended).error()), beat_problem_);
    kernel_.end_gap();
    log::notice("Enforcement: {} again: the kernel runs the programs of the policy",
                policy::level_to_string(kernel_.choice().level));
    on_change_();
}

}  // namespace nsr::manager
