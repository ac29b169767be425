// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/manager.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

using pool::Message;
using pool::MessageType;
using pool::Slot;
using pool::WorkerState;

/// So many workers may be busy for one uid: the others are for the others.
constexpr int kMaxBusyPerUid = 16;
/// A uid that has cost so many is not served any more, until they come back.
constexpr size_t kMaxLostPerUid = 4;
/// If connections still wait after this, another worker is started.
constexpr uint64_t kGrowthUsec = 5'000;
/// From the start to the removal of cgroups that an earlier instance has left.
constexpr uint64_t kStartTidyUsec = 2'000'000;
constexpr uint64_t kTickUsec = 1'000'000;
constexpr uint64_t kStopGraceUsec = 5'000'000;

}  // namespace

Manager::Manager(EventLoop& loop, BorrowedFd listening, size_t max_connections, WorkerPool::Config workers,
                 Reaper::Senses senses)
    : loop_(loop),
      listening_(listening),
      table_(max_connections),
      pool_(loop, std::move(workers),
            {.on_message = [this](Worker& worker, Message message) { on_message(worker, std::move(message)); },
             .on_exit = [this](Worker& worker) { on_worker_exit(worker); },
             .on_hopeless =
                 [this] {
                     log::error("No worker can live; giving up");
                     loop_.stop(kHopeless);
                 }}),
      reaper_(std::move(senses), [this](std::vector<NsIdentity> dead) { release(std::move(dead)); }) {}

Status Manager::start() {
    listening_source_ = TRY(loop_.watch_fd(listening_, EPOLLIN, [this] { accept_clients(); }));
    for (int signal : {SIGTERM, SIGINT})
        sources_.push_back(TRY(loop_.watch_signal(signal, [this](int) { loop_.stop(EXIT_SUCCESS); })));
    sources_.push_back(TRY(loop_.watch_signal(SIGUSR2, [this](int) { pool_.grow(); })));
    sources_.push_back(TRY(loop_.watch_signal(SIGRTMIN + 18, [this](int value) { on_generic_signal(value); })));
    growth_timer_ = TRY(loop_.make_timer([this] {
        growing_ = false;
        if (work_waits()) pool_.grow();
        dispatch();
    }));
    tidy_timer_ = TRY(loop_.make_timer([this] {
        tidying_ = false;
        jobs_.push_back({.type = MessageType::kTidy, .namespaces = {}});
        dispatch();
    }));
    tidy_after(kStartTidyUsec);
    tick_timer_ = TRY(loop_.make_timer([this] { tick(); }));
    tick_timer_.fire_after(kTickUsec);
    TRY(reaper_.start(loop_));
    return pool_.start();
}

void Manager::stop() { pool_.stop(kStopGraceUsec); }

void Manager::tick() {
    pool_.kill_late();
    pool_.retire_idle();
    close_slow_ones();
    pins_.flush();
    listening_source_.enable();
    tick_timer_.fire_after(kTickUsec);
}

// systemd's generic signal: 0 to 7 is a log level, anything else a wish for memory.
void Manager::on_generic_signal(int value) {
    if (value >= static_cast<int>(log::Level::kError) && value <= static_cast<int>(log::Level::kDebug)) {
        log::set_level(log::Level{value});
        pool_.set_log_level(log::Level{value});
    } else {
        malloc_trim(0);
    }
}

void Manager::dispatch() {
    while (dispatch_job() == Step::kDone || dispatch_connection() == Step::kDone) {
    }
    announce_demand();
}

// What only waits for its turn, a uid's with all the workers that it may have or a release behind another, needs no
// further worker.
bool Manager::work_waits() {
    return next_job() != jobs_.end() ||
           table_.next([this](const Account& account) { return may_have_worker(account); }) != nullptr;
}

// Lingering workers look at this before they wait, and the manager looks at them after it has said so: one of the two
// sees the other.
void Manager::announce_demand() {
    bool waiting = work_waits();
    auto demand = waiting ? Slot::Demand::kWaiting : Slot::Demand::kNone;
    if (demand != demand_) {
        demand_ = demand;
        for (auto& worker : pool_.all()) worker->slot.set_demand(demand);
        if (waiting) {
            while (dispatch_job() == Step::kDone || dispatch_connection() == Step::kDone) {
            }
        }
    }
    if (waiting && !growing_) {
        growing_ = true;
        growth_timer_.fire_after(kGrowthUsec);
    }
}

bool Manager::may_have_worker(const Account& account) {
    auto busy = std::ranges::count_if(pool_.all(), [&](const auto& worker) {
        WorkerState state = worker->slot.state();
        return worker->connection && worker->uid == account.uid &&
               (state == WorkerState::kGiven || state == WorkerState::kBusy);
    });
    return busy < kMaxBusyPerUid && pool_.count_lost(account.uid) < kMaxLostPerUid;
}

Manager::Step Manager::dispatch_connection() {
    Connection* connection = table_.next([this](const Account& account) { return may_have_worker(account); });
    if (!connection) return Step::kNothingToDo;
    Worker* worker = pool_.find_idle();
    if (!worker) worker = claim_lingering();
    if (!worker) return Step::kNothingToDo;
    hand_over(*worker, *connection);
    return Step::kDone;
}

// Takes the connection away from a lingering worker. Nothing of it has been read beyond the last answer, so that it can
// go back among the idle ones; if there is a new request already, the event loop will say so.
Worker* Manager::claim_lingering() {
    for (auto& worker : pool_.all()) {
        if (!worker->connection) continue;
        if (worker->slot.exchange(WorkerState::kLingering, WorkerState::kClaimed) == Slot::Swap::kNotSo) continue;
        Connection* old = table_.find(*worker->connection);
        worker->connection.reset();
        if (old && !watch(*old)) table_.remove(*old);
        return worker.get();
    }
    return nullptr;
}

void Manager::hand_over(Worker& worker, Connection& connection) {
    table_.set_served(connection);
    Message message;
    message.type = MessageType::kServe;
    message.connection_id = connection.id;
    message.peer = connection.peer;
    message.fd = UniqueFd(connection.fd.get());
    worker.slot.set_state(WorkerState::kGiven);
    auto sent = worker.channel.send(message);
    static_cast<void>(message.fd.release());  // it is the table's
    if (!sent) {
        log::debug("Worker {} takes no connection: {}", worker.pid, sent.error().what());
        WorkerPool::retire(worker);
        table_.set_waiting(connection);
        return;
    }
    worker.connection = connection.id;
    worker.uid = Uid(connection.peer.uid);
}

void Manager::set_idle(Worker& worker) {
    worker.slot.set_state(WorkerState::kIdle);
    worker.slot.set_demand(demand_);
    worker.idle_since_usec = sys::now_usec();
}

void Manager::on_message(Worker& worker, Message message) {
    switch (message.type) {
        case MessageType::kReady:
            worker.ready = true;
            set_idle(worker);
            break;
        case MessageType::kConnectionIdle:
        case MessageType::kConnectionClosed:
            on_connection_back(worker, message.connection_id, message.type);
            break;
        case MessageType::kRegistered:
            for (const auto& identity : message.namespaces) reaper_.watch(identity);
            return;
        case MessageType::kJobDone:
        case MessageType::kUntidy:
            on_job_done(worker, message);
            break;
        case MessageType::kKeepMount:
            if (message.namespaces.size() == 1 && message.fd)
                pins_.keep(message.namespaces.front(), std::move(message.fd));
            return;
        case MessageType::kLowOnRanges:
            if (std::ranges::none_of(jobs_, [](const Job& job) { return job.type == MessageType::kRefill; }))
                jobs_.push_back({.type = MessageType::kRefill, .namespaces = {}});
            break;
        default:
            log::error("Worker {} sent a message of unknown type", worker.pid);
            return;
    }
    dispatch();
}

void Manager::on_connection_back(Worker& worker, uint64_t id, MessageType how) {
    // A message about a connection that was claimed meanwhile, or evicted, concerns nobody.
    if (worker.connection != id) return;
    worker.connection.reset();
    set_idle(worker);
    Connection* connection = table_.find(id);
    if (!connection) return;
    if (how == MessageType::kConnectionClosed || !watch(*connection)) table_.remove(*connection);
}

// Nobody knows how far a dead worker came with a request that it had begun to read. A connection of which it had not
// read anything beyond the last answer is as good as before.
void Manager::recover(Connection& connection, WorkerState last_state) {
    if (last_state == WorkerState::kGiven) return table_.set_waiting(connection);
    if (last_state == WorkerState::kLingering && watch(connection)) return;
    table_.remove(connection);
}

void Manager::on_worker_exit(Worker& worker) {
    if (worker.connection)
        if (Connection* connection = table_.find(*worker.connection)) recover(*connection, worker.slot.state());
    if (worker.job) retry(std::move(*worker.job));
    // Whatever it was at: nothing of a killed call may stay.
    jobs_.push_front({.type = MessageType::kRepair, .writer = worker.pid, .namespaces = {}});
    worker.connection.reset();
    worker.job.reset();
    worker.retiring = true;
    dispatch();
}

}  // namespace nsr::manager
