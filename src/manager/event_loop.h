// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/signalfd.h>
#include <systemd/sd-event.h>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::manager {

/// Something the loop watches, until this is destroyed. A handler may destroy its own source while it runs.
class Source {
public:
    struct Watch;

    Source() noexcept;
    explicit Source(std::unique_ptr<Watch> watch);
    Source(Source&&) noexcept;
    Source& operator=(Source&&) noexcept;
    ~Source();

    explicit operator bool() const { return static_cast<bool>(watch_); }
    void enable();
    void disable();
    /// For timers: once, that many microseconds from now.
    void fire_after(uint64_t usec);

private:
    std::unique_ptr<Watch> watch_;
};

/// sd-event(3), with functions of this language as handlers. Sources must not outlive it.
class EventLoop {
public:
    static Result<EventLoop> create();

    /// `events` as in epoll_ctl(2).
    Result<Source> watch_fd(BorrowedFd fd, uint32_t events, std::function<void()> handler);
    /// Does nothing until fire_after().
    Result<Source> make_timer(std::function<void()> handler);
    /// Blocks the signal for the process, too. The handler gets the value that came with sigqueue(3).
    Result<Source> watch_signal(int signal, std::function<void(int value)> handler);
    /// Keeps the service manager's watchdog quiet, if it has one (sd_event_set_watchdog(3)).
    Status feed_watchdog();

    /// Until stop(); gives its exit status.
    Result<int> run();
    void stop(int exit_status);

private:
    struct Unref {
        void operator()(sd_event* event) const { sd_event_unref(event); }
    };
    explicit EventLoop(sd_event* event) : event_(event) {}

    std::unique_ptr<sd_event, Unref> event_;
};

}  // namespace nsr::manager
