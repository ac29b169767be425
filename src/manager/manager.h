// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>
#include <functional>

#include "manager/closers.h"
#include "manager/connection_table.h"
#include "manager/descriptor_shares.h"
#include "manager/event_loop.h"
#include "manager/fair_share.h"
#include "manager/mount_pins.h"
#include "manager/reaper.h"
#include "manager/release_queue.h"
#include "manager/worker_pool.h"

namespace nsr::manager {

/// Holds all connections, and hands each one that has something to say to a worker. Reads no message, waits for nobody.
class Manager {
public:
    /// Exit statuses of run(): 0 after a signal, 1 if no worker can live.
    static constexpr int kHopeless = 1;

    struct Config {
        DescriptorShares shares;
        WorkerPool::Config workers;
        Reaper::Senses senses;
        /// The user whom a uid counts as (ranges/user_table.h). Makes no system call.
        std::function<Uid(Uid)> user_of;
    };

    Manager(EventLoop& loop, BorrowedFd listening, Config config);
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    Reaper& reaper() { return reaper_; }
    MountPins& pins() { return pins_; }
    Status start();
    /// From now on calls are served at this level. Ranges that are taken are kept back: those of a time that was not
    /// enforced may have left something.
    void change_level(policy::Level level);
    /// The registry is another one by now: workers end when they have done what they are at, and others are started.
    void replace_workers(policy::Level level) { pool_.change_level(level); }
    /// What was found at the start and could not be read or repaired then.
    void take_over(const std::vector<NsInode>& unread);
    /// Clients that wait to be accepted when the service stops: the next instance has the socket, or it goes.
    enum class Backlog { kStays, kGoes };
    /// Ends all workers and connections, once the loop is left. Waits for none that the kernel holds.
    void stop(Backlog backlog);

private:
    // clients
    void accept_clients();
    enum class Admission { kDone, kNoneLeft };
    Admission accept_one();
    void bound_share(Account& account);
    size_t excess() const;
    Connection* to_evict() const;
    Admission make_room();
    Admission pause_accepting();
    bool may_have_parcel(const Connection& connection) const;
    void examine(Connection& connection);
    Status watch(Connection& connection);
    void drop(Connection& connection);
    void look_at_partial_ones();
    void look_in_turn(Account& account, uint64_t now_usec);
    void give_memory_back();

    // hand-over
    void dispatch();
    enum class Step { kDone, kNothingToDo };
    bool job_waits();
    bool release_waits();
    Job next_job();
    void retry(Job job);
    void put_back(Job job);
    void retry_release(const Job& job);
    Step dispatch_job();
    Step dispatch_connection();
    struct Load {
        size_t in_flight = 0, young = 0;
    };
    Load load_of(Uid user, uint64_t now_usec) const;
    FairShare::Company company_of(Uid user, uint64_t now_usec) const;
    bool is_held_up(Uid user) const;
    bool may_have_worker(const Account& account, uint64_t now_usec) const;
    Worker* free_worker();
    void refuse_hand_over(Worker& worker, Connection& connection, const Error& error);
    bool is_over_share(Uid user, uint64_t now_usec) const;
    void hand_over(Worker& worker, Connection& connection);
    void hand_over(Worker& worker, Job job);
    bool work_waits();
    void announce_demand();

    // workers
    void on_message(Worker& worker, pool::Message message);
    void on_connection_back(Worker& worker, pool::Message message);
    void on_worker_exit(Worker& worker);
    void recover(Connection& connection, pool::WorkerState last_state);
    void on_job_done(Worker& worker, const pool::Message& message);
    void on_release_done(const Job& job, const pool::Message& message);
    void on_tidy_done(pool::MessageType how);
    void on_repair_done(const Job& job, const pool::Message& message);
    void request_repair();
    void repair_later();
    void tidy_after(uint64_t usec);
    void tidy_now();
    void set_idle(Worker& worker);
    void release(const std::vector<Watched>& dead);
    void forget(const NsIdentity& userns);
    void keep_mounts();
    void note_room_for_mounts();
    void tick();
    void on_generic_signal(int value);

    EventLoop& loop_;
    BorrowedFd listening_;
    std::function<Uid(Uid)> user_of_;
    Closers closers_;
    ConnectionTable table_;
    FairShare share_;
    WorkerPool pool_;
    Reaper reaper_;
    std::deque<Job> jobs_;
    std::vector<NsIdentity> unread_;  ///< records that could not be read at the start
    ReleaseQueue releases_;
    std::vector<Source> sources_;
    MountPins pins_;
    std::deque<std::pair<NsIdentity, UniqueFd>> new_mounts_;
    Source listening_source_, tick_timer_, growth_timer_, tidy_timer_, look_timer_, mount_timer_, repair_timer_;
    bool growing_ = false, looking_ = false;
    enum class Tidying { kNone, kLater, kWaiting, kAtWork };
    Tidying tidying_ = Tidying::kNone;
    bool tidy_again_ = false;      ///< something was left while it was at work
    size_t most_connections_ = 0;  ///< since memory was last given back
};

}  // namespace nsr::manager
