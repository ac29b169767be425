// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/manager.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/socket.h>
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

/// Of the connections that there may be, a user may have one part in so many waiting to be closed.
constexpr size_t kWaitingPart = 8;
constexpr size_t kLeastWaiting = 64;
/// Clients that are let go at a stop before they were accepted.
constexpr int kMaxBacklog = 8192;
/// From the start to the removal of cgroups that an earlier instance has left.
constexpr uint64_t kStartTidyUsec = 2'000'000;
constexpr uint64_t kTickUsec = 1'000'000;
constexpr uint64_t kStopGraceUsec = 5'000'000;

}  // namespace

Manager::Manager(EventLoop& loop, BorrowedFd listening, Config config)
    : loop_(loop),
      listening_(listening),
      user_of_(std::move(config.user_of)),
      closers_(loop, std::max(config.shares.connections / kWaitingPart, kLeastWaiting),
               [this] { listening_source_.enable(); }),
      table_(config.shares.connections),
      pool_(loop, std::move(config.workers),
            {.on_message = [this](Worker& worker, Message message) { on_message(worker, std::move(message)); },
             .on_exit = [this](Worker& worker) { on_worker_exit(worker); },
             .on_lost_exit = [this] { repair_later(); },
             .on_late_message =
                 [this](Message message) {
                     closers_.close(kNoUser, std::move(message.fd));
                     closers_.close_socket(kNoUser, std::move(message.parcel));
                 },
             .on_hopeless =
                 [this] {
                     log::error("No worker can live; giving up");
                     loop_.stop(kHopeless);
                 }}),
      reaper_(std::move(config.senses), {.release = [this](const std::vector<Watched>& dead) { release(dead); },
                                         .over = [this](const NsIdentity& userns) { forget(userns); }}),
      releases_(user_of_),
      pins_(config.shares.pins, [this](UniqueFd pin) { closers_.close(kNoUser, std::move(pin)); }) {}

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
    tidy_timer_ = TRY(loop_.make_timer([this] { tidy_now(); }));
    mount_timer_ = TRY(loop_.make_timer([this] { keep_mounts(); }));
    repair_timer_ = TRY(loop_.make_timer([this] {
        request_repair();
        dispatch();
    }));
    look_timer_ = TRY(loop_.make_timer([this] { look_at_partial_ones(); }));
    TRY(closers_.start());
    tidy_after(kStartTidyUsec);
    tick_timer_ = TRY(loop_.make_timer([this] { tick(); }));
    tick_timer_.fire_after(kTickUsec);
    TRY(reaper_.start(loop_));
    return pool_.start();
}

void Manager::change_level(policy::Level level) {
    jobs_.push_front({.type = MessageType::kKeepBack, .namespaces = {}});
    pool_.change_level(level);
}

void Manager::stop(Backlog backlog) {
    pool_.stop(kStopGraceUsec);
    // What waits there would be closed along with the socket.
    for (int i = 0; backlog == Backlog::kGoes && i < kMaxBacklog; ++i) {
        UniqueFd client(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client) break;
        closers_.close_socket(kNoUser, std::move(client));
    }
    while (Connection* connection = table_.any()) drop(*connection);
    keep_mounts();
    pins_.let_go();
    closers_.finish();
}

void Manager::tick() {
    pool_.kill_late();
    pool_.retire_idle();
    closers_.work();
    pins_.flush();
    note_room_for_mounts();
    give_memory_back();
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

void Manager::set_idle(Worker& worker) {
    worker.slot.set_state(WorkerState::kIdle);
    worker.slot.set_deadline_usec(0);
    worker.slot.set_demand(Slot::Demand::kNone);
    worker.is_asked_back = false;
    worker.idle_since_usec = sys::now_usec();
}

namespace {

// A worker that repairs a call tells of its registration again, for the case that the dead one did not.
Reaper::News news_from(const Worker& worker) {
    bool repairs = worker.job && worker.job->type == MessageType::kRepair;
    return repairs ? Reaper::News::kRepeated : Reaper::News::kNew;
}

}  // namespace

void Manager::on_message(Worker& worker, Message message) {
    switch (message.type) {
        case MessageType::kReady:
            worker.ready = true;
            note_room_for_mounts();
            set_idle(worker);
            break;
        case MessageType::kConnectionIdle:
        case MessageType::kConnectionParked:
        case MessageType::kConnectionClosed:
            on_connection_back(worker, std::move(message));
            break;
        case MessageType::kRegistered:
            for (const auto& identity : message.namespaces) reaper_.watch({identity, message.owner}, news_from(worker));
            return;
        case MessageType::kJobDone:
        case MessageType::kUntidy:
        case MessageType::kBusyLeftovers:
        case MessageType::kUnrepaired:
            on_job_done(worker, message);
            break;
        case MessageType::kKeepMount:
            if (message.namespaces.size() == 1 && message.fd) {
                new_mounts_.emplace_back(message.namespaces.front(), std::move(message.fd));
                mount_timer_.fire_after(0);
            }
            if (message.descriptors == Message::Descriptors::kLost)
                log::warning("A mount is not kept: no descriptor is left for it");
            closers_.close(kNoUser, std::move(message.fd));
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

void Manager::on_connection_back(Worker& worker, Message message) {
    // Not of one that it has: a mistake of the worker.
    if (worker.connection != message.connection_id)
        return closers_.close_socket(worker.user, std::move(message.parcel));
    worker.connection.reset();
    set_idle(worker);
    share_.note(worker.user, sys::now_usec());
    Connection* connection = table_.find(message.connection_id);
    if (!connection) return closers_.close_socket(worker.user, std::move(message.parcel));
    if (message.type == MessageType::kConnectionClosed) return drop(*connection);
    if (message.descriptors == Message::Descriptors::kLost) {
        log::warning("A connection of user {} is closed: no descriptor is left for what was read", worker.user);
        return drop(*connection);
    }
    closers_.close_socket(worker.user, table_.exchange_parcel(*connection, std::move(message.parcel)));
    examine(*connection);
}

// Nobody knows how far a dead worker came with a request that it had begun to read. A connection of which it had not
// read anything beyond the last answer is as good as before.
void Manager::recover(Connection& connection, WorkerState last_state) {
    if (last_state == WorkerState::kGiven) return table_.set_waiting(connection);
    if (last_state == WorkerState::kLingering && watch(connection)) return;
    drop(connection);
}

void Manager::on_worker_exit(Worker& worker) {
    if (worker.connection)
        if (Connection* connection = table_.find(*worker.connection)) recover(*connection, worker.slot.state());
    // Whatever it was at: nothing of a killed call may stay. If a repair has killed it, the next one waits. One that
    // was retired has left nothing.
    bool was_repair = worker.job && worker.job->type == MessageType::kRepair;
    if (worker.job) retry(std::move(*worker.job));
    if (!worker.ended_well) {
        if (!was_repair) request_repair();
        // And once more: a process that shares the dead one's descriptors may hold its page for a moment.
        repair_later();
    }
    worker.connection.reset();
    worker.job.reset();
    worker.retiring = true;
    dispatch();
}

}  // namespace nsr::manager
