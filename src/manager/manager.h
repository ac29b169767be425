// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>

#include "manager/connection_table.h"
#include "manager/event_loop.h"
#include "manager/mount_pins.h"
#include "manager/reaper.h"
#include "manager/worker_pool.h"

namespace nsr::manager {

/// Holds all connections, and hands each one that has something to say to a worker. Reads no message, waits for nobody.
class Manager {
public:
    /// Exit statuses of run(): 0 after a signal, 1 if no worker can live.
    static constexpr int kHopeless = 1;

    Manager(EventLoop& loop, BorrowedFd listening, size_t max_connections, WorkerPool::Config workers,
            Reaper::Senses senses);
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    Reaper& reaper() { return reaper_; }
    MountPins& pins() { return pins_; }
    Status start();
    /// Ends all workers, once the loop is left.
    void stop();

private:
    // clients
    void accept_clients();
    UniqueFd accept_one();
    UniqueFd pause_accepting();
    enum class Look { kReady, kPartial, kNothing, kOver };
    static Look look(const Connection& connection);
    void examine(Connection& connection);
    Status watch(Connection& connection);
    void close_slow_ones();

    // hand-over
    void dispatch();
    enum class Step { kDone, kNothingToDo };
    std::deque<Job>::iterator next_job();
    void retry(Job job);
    Step dispatch_job();
    Step dispatch_connection();
    bool may_have_worker(const Account& account);
    Worker* claim_lingering();
    void hand_over(Worker& worker, Connection& connection);
    void hand_over(Worker& worker, Job job);
    bool work_waits();
    void announce_demand();

    // workers
    void on_message(Worker& worker, pool::Message message);
    void on_connection_back(Worker& worker, uint64_t id, pool::MessageType how);
    void on_worker_exit(Worker& worker);
    void recover(Connection& connection, pool::WorkerState last_state);
    void on_job_done(Worker& worker, const pool::Message& message);
    void tidy_after(uint64_t usec);
    void set_idle(Worker& worker);
    void release(std::vector<NsIdentity> dead);
    void tick();
    void on_generic_signal(int value);

    EventLoop& loop_;
    BorrowedFd listening_;
    ConnectionTable table_;
    WorkerPool pool_;
    Reaper reaper_;
    std::deque<Job> jobs_;
    std::vector<Source> sources_;
    MountPins pins_;
    Source listening_source_, tick_timer_, growth_timer_, tidy_timer_;
    bool growing_ = false, tidying_ = false;
    pool::Slot::Demand demand_ = pool::Slot::Demand::kNone;
};

}  // namespace nsr::manager
