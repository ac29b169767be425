// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "manager/event_loop.h"

namespace nsr::manager {

/// Closes descriptors whose close(2) a client can make as slow as it likes: a socket with descriptors in its queue, the
/// last pin of a mount. A throw-away process gets a copy of them, the manager closes its own copies, which are not the
/// last ones then, and kills the process. No process waits for its end in the kernel (doc/decisions/who-closes.md).
class Closers {
public:
    /// Processes of one user, and in all. What comes beyond stays open until one of them is gone.
    static constexpr size_t kMaxPerUser = 4;
    static constexpr size_t kMax = 256;
    /// The same for a user with so much that waits that it would fill the table, and for users who have none by now.
    static constexpr size_t kMaxPerUserUnderPressure = 32;
    static constexpr size_t kMaxUnderPressure = 320;

    /// A user with more than `max_waiting` descriptors that wait gets a process all the same, or the wait would fill
    /// the table. `on_progress` is called when fewer wait than before.
    Closers(EventLoop& loop, size_t max_waiting, std::function<void()> on_progress)
        : loop_(loop), max_waiting_(max_waiting), on_progress_(std::move(on_progress)), collect_usec_(kCollectUsec) {}
    Closers(const Closers&) = delete;
    Closers& operator=(const Closers&) = delete;
    ~Closers() { finish(); }

    Status start();
    /// `user` is kNoUser for what belongs to no client, such as pins of mounts. A socket of a client: closed at once if
    /// nothing can come of that. The client sees the end at once in any case.
    void close_socket(Uid user, UniqueFd socket);
    /// Anything else: by a process.
    void close(Uid user, UniqueFd fd);

    /// Descriptors that are not closed yet, those included whose process is just starting.
    size_t waiting() const { return waiting_count_; }
    size_t waiting(Uid user) const;
    /// Of the user of whom most wait.
    size_t most_waiting() const;
    /// Processes of this user whose end takes long.
    size_t count_held(Uid user) const;
    /// Begins to close what waits, by one process; a timer calls it.
    void work();
    /// At the end of the manager: hands all that is left to one process, whose end is not waited for.
    void finish();

private:
    struct Closer {
        Uid user;
        pid_t pid = 0;
        UniqueFd pidfd, ready;
        uint64_t killed_at_usec = 0;  ///< 0: it has not got ready yet
        std::vector<UniqueFd> fds;    ///< its own copies are the last ones once these are closed
        Source ready_source, exit_source;
    };

    /// Of one user, in the order of arrival.
    struct Waiting {
        Uid user;
        std::vector<UniqueFd> fds;
    };

    /// What is to be closed is collected for so long: a process for each descriptor would cost more than the attack.
    static constexpr uint64_t kCollectUsec = 5'000;

    bool may_start(const Waiting& waiting) const;
    Status start_closer(Waiting& waiting);
    std::vector<UniqueFd>& waiting_of(Uid user);
    void discount(Uid user, size_t closed);
    void on_ready(Closer& closer);
    void on_exit(Closer& closer);
    void arm(uint64_t usec);

    EventLoop& loop_;
    size_t max_waiting_;
    std::function<void()> on_progress_;
    Source timer_;
    bool armed_ = false;
    size_t waiting_count_ = 0;
    std::unordered_map<Uid, size_t> waiting_by_user_;  // no zeros; in sum waiting_count_
    uint64_t collect_usec_;
    std::deque<Waiting> waiting_;  // each user once
    std::vector<std::unique_ptr<Closer>> closers_;
};

/// Forks a process that keeps copies of these descriptors and of no others, says so by a byte on `ready`, and waits to
/// be killed, at the latest when the caller ends. Gives what fork(2) does; does not return in the child.
pid_t fork_holder(std::vector<int> fds, BorrowedFd ready);

}  // namespace nsr::manager
