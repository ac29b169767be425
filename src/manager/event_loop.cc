// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/event_loop.h"

#include <csignal>

namespace nsr::manager {

struct Source::Watch {
    sd_event_source* source = nullptr;
    std::shared_ptr<std::function<void(int)>> handler;

    ~Watch() { sd_event_source_disable_unref(source); }
};

namespace {

// The copy keeps the function alive while it runs, even if it destroys its source.
int call(void* userdata, int value) {
    auto handler = static_cast<Source::Watch*>(userdata)->handler;
    (*handler)(value);
    return 0;
}

int on_io(sd_event_source*, int, uint32_t, void* userdata) { return call(userdata, 0); }
int on_time(sd_event_source*, uint64_t, void* userdata) { return call(userdata, 0); }
int on_signal(sd_event_source*, const struct signalfd_siginfo* info, void* userdata) {
    return call(userdata, info->ssi_int);
}

std::unique_ptr<Source::Watch> make_watch(std::function<void(int)> handler) {
    auto watch = std::make_unique<Source::Watch>();
    watch->handler = std::make_shared<std::function<void(int)>>(std::move(handler));
    return watch;
}

}  // namespace

Source::Source() noexcept = default;
Source::Source(std::unique_ptr<Watch> watch) : watch_(std::move(watch)) {}
Source::Source(Source&&) noexcept = default;
Source& Source::operator=(Source&&) noexcept = default;
Source::~Source() = default;

void Source::enable() { sd_event_source_set_enabled(watch_->source, SD_EVENT_ON); }
void Source::disable() { sd_event_source_set_enabled(watch_->source, SD_EVENT_OFF); }

void Source::fire_after(uint64_t usec) {
    sd_event_source_set_time_relative(watch_->source, usec);
    sd_event_source_set_enabled(watch_->source, SD_EVENT_ONESHOT);
}

Result<EventLoop> EventLoop::create() {
    sd_event* event = nullptr;
    int result = sd_event_new(&event);
    if (result < 0) return fail_errno(-result, "event loop");
    return EventLoop(event);
}

Result<Source> EventLoop::watch_fd(BorrowedFd fd, uint32_t events, std::function<void()> handler) {
    auto watch = make_watch([handler = std::move(handler)](int) { handler(); });
    int result = sd_event_add_io(event_.get(), &watch->source, fd.get(), events, on_io, watch.get());
    if (result < 0) return fail_errno(-result, "watch descriptor");
    return Source(std::move(watch));
}

Result<Source> EventLoop::make_timer(std::function<void()> handler) {
    auto watch = make_watch([handler = std::move(handler)](int) { handler(); });
    int result =
        sd_event_add_time_relative(event_.get(), &watch->source, CLOCK_MONOTONIC, 0, 1000, on_time, watch.get());
    if (result < 0) return fail_errno(-result, "timer");
    sd_event_source_set_enabled(watch->source, SD_EVENT_OFF);
    return Source(std::move(watch));
}

Result<Source> EventLoop::watch_signal(int signal, std::function<void(int)> handler) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    auto watch = make_watch(std::move(handler));
    int result = sd_event_add_signal(event_.get(), &watch->source, signal, on_signal, watch.get());
    if (result < 0) return fail_errno(-result, "watch signal");
    return Source(std::move(watch));
}

Status EventLoop::feed_watchdog() {
    int result = sd_event_set_watchdog(event_.get(), 1);
    if (result < 0) return fail_errno(-result, "watchdog");
    return {};
}

Result<int> EventLoop::run() {
    int result = sd_event_loop(event_.get());
    if (result < 0) return fail_errno(-result, "event loop");
    return result;
}

void EventLoop::stop(int exit_status) { sd_event_exit(event_.get(), exit_status); }

}  // namespace nsr::manager
