// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "manager/event_loop.h"
#include "policy/entries.h"
#include "policy/level.h"
#include "policy/missed_calls.h"
#include "pool/channel.h"
#include "pool/slot.h"

namespace nsr::manager {

/// Work that no client waits for.
struct Job {
    pool::MessageType type{};
    std::vector<NsIdentity> namespaces;
    int attempts = 0;
    Uid user{};  ///< whose turn a release is
};

/// One worker process.
struct Worker {
    Worker(pid_t process, UniqueFd process_fd, UniqueFd socket, pool::Slot shared)
        : pid(process), pidfd(std::move(process_fd)), channel(std::move(socket)), slot(std::move(shared)) {}

    bool is_idle() const { return ready && !retiring && !connection && !job; }
    /// Has a connection that it is at; not one that it only keeps for a next request.
    bool is_in_flight() const;

    pid_t pid;
    UniqueFd pidfd;
    pool::Channel channel;
    pool::Slot slot;
    bool ready = false;  ///< has said that it is up
    bool retiring = false;
    bool ended_well = false;             ///< by itself, so that it left nothing unfinished
    std::optional<uint64_t> connection;  ///< id of the one that it has, lingering included
    Uid user = kNoUser;                  ///< whose connection that is or was; kNoUser: it has a job, or had nothing yet
    bool is_asked_back = false;          ///< to give back a connection that it keeps for a next request
    std::optional<Job> job;
    uint64_t given_at_usec = 0;
    uint64_t idle_since_usec = 0;
    uint64_t killed_at_usec = 0;  ///< 0: it was not
    Source channel_source, exit_source;
};

/// The worker processes: started, watched, refilled to the low watermark, retired.
class WorkerPool {
public:
    static constexpr size_t kLow = 5;
    static constexpr size_t kHigh = 64;
    /// Workers that the kernel holds. More are not risked for users that have cost one already.
    static constexpr size_t kMaxLost = 64;

    struct Config {
        std::string program;  ///< path of nsresourcework
        std::string runtime_dir, state_dir;
        policy::Level level = policy::Level::kRefuse;
        log::Level log_level = log::Level::kInfo;
        BorrowedFd instance_lock, log_quota;
        const policy::Entries* entries = nullptr;
        policy::MissedCalls missed_calls;
    };
    struct Events {
        std::function<void(Worker&, pool::Message)> on_message;
        /// The process is gone; it is removed from the pool after this.
        std::function<void(Worker&)> on_exit;
        /// One that counted as lost is gone at last: until now its page of the journal was its own.
        std::function<void()> on_lost_exit;
        /// A message that comes too late to be acted upon: its descriptors may be the last of their kind.
        std::function<void(pool::Message)> on_late_message;
        /// No worker lives, and no more may be started for now: something is badly wrong.
        std::function<void()> on_hopeless;
    };

    WorkerPool(EventLoop& loop, Config config, Events events);

    Status start();
    /// One more, unless the high watermark is reached or too many were started lately.
    void grow();
    /// Keeps the low watermark, as far as the start rate allows; else tries again later.
    void refill();
    /// Ends workers above the low watermark that have been idle for long.
    void retire_idle();
    /// Ends one when it has done what it is at; it gets nothing more to do.
    static void retire(Worker& worker);
    /// Kills those that have passed their deadline, and counts those as lost that do not even die: a client's
    /// descriptor of a file system that does not answer holds them in the kernel (close(2) of FUSE, for one).
    void kill_late();
    /// Whatever workers have said by now is heard before it returns.
    void read_channels();
    /// Ends all: asks them by closing their channels, gives those that are at a call or a job `grace_usec` to finish,
    /// kills the others, and leaves behind what does not die of that.
    void stop(uint64_t grace_usec);
    /// How many workers this user has cost so far that did not come back.
    size_t count_lost(Uid user) const;
    size_t count_lost() const { return lost_.size(); }

    /// An idle worker, the one that was busy last; null if there is none.
    Worker* find_idle();
    /// Idle ones, and those that only keep a connection for a next request.
    size_t count_free() const;
    std::vector<std::unique_ptr<Worker>>& all() { return workers_; }
    const std::vector<std::unique_ptr<Worker>>& all() const { return workers_; }
    /// Workers of the level before end when they have done what they are at.
    void change_level(policy::Level level);
    void set_log_level(log::Level level) { config_.log_level = level; }

private:
    Status spawn();
    Status watch(Worker& worker);
    enum class StartRate { kAllowed, kExceeded };
    StartRate count_start();
    enum class Heard { kMessage, kNothing };
    Heard on_channel(Worker& worker);
    void on_exit(Worker& worker);
    void log_exit(Worker& worker) const;
    template <class Predicate>
    void log_ended_until(uint64_t end_usec, Predicate waited_for);
    void lose(Worker& worker);
    void empty_channel(Worker& worker);

    EventLoop& loop_;
    Config config_;
    Events events_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::unique_ptr<Worker>> lost_;  ///< killed, but still held in the kernel
    std::deque<uint64_t> starts_usec_;
    Source refill_timer_;
};

}  // namespace nsr::manager
