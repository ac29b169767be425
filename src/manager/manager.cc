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

/// So many workers may be at work for one user: the others are for the others.
constexpr size_t kMaxInFlight = 16;
/// And so many of them may have begun lately, one while other users are active: what takes longer waits for something,
/// such as polkit, and needs no processor.
constexpr size_t kMaxYoung = 4;
constexpr uint64_t kYoungUsec = 50'000;
/// Workers that are left for others, where a user has one already.
constexpr size_t kReserve = 2;
/// Workers that are asked at a time to give back what they only keep.
constexpr int kMaxAskedBack = 4;
/// A user that has cost so many processes is not served any more, until they come back.
constexpr size_t kMaxHeldUp = 4;
/// Of the connections that there may be, a user may have one part in so many waiting to be closed.
constexpr size_t kWaitingPart = 8;
constexpr size_t kLeastWaiting = 64;
/// Clients that are let go at a stop before they were accepted.
constexpr int kMaxBacklog = 8192;
/// If connections still wait after this, another worker is started.
constexpr uint64_t kGrowthUsec = 5'000;
/// If connections wait for the turn of their user, it is looked at again after this.
constexpr uint64_t kTurnUsec = 20'000;
/// From the start to the removal of cgroups that an earlier instance has left.
constexpr uint64_t kStartTidyUsec = 2'000'000;
constexpr uint64_t kTickUsec = 1'000'000;
constexpr uint64_t kStopGraceUsec = 5'000'000;

}  // namespace

Manager::Manager(EventLoop& loop, BorrowedFd listening, Config config)
    : loop_(loop),
      listening_(listening),
      user_of_(std::move(config.user_of)),
      closers_(loop, std::max(config.max_connections / kWaitingPart, kLeastWaiting),
               [this] { listening_source_.enable(); }),
      table_(config.max_connections),
      pool_(loop, std::move(config.workers),
            {.on_message = [this](Worker& worker, Message message) { on_message(worker, std::move(message)); },
             .on_exit = [this](Worker& worker) { on_worker_exit(worker); },
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
      reaper_(std::move(config.senses), [this](const std::vector<Watched>& dead) { release(dead); }),
      releases_(user_of_),
      pins_([this](UniqueFd pin) { closers_.close(kNoUser, std::move(pin)); }) {}

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
    look_timer_ = TRY(loop_.make_timer([this] { look_at_partial_ones(); }));
    TRY(closers_.start());
    tidy_after(kStartTidyUsec);
    tick_timer_ = TRY(loop_.make_timer([this] { tick(); }));
    tick_timer_.fire_after(kTickUsec);
    TRY(reaper_.start(loop_));
    return pool_.start();
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
    pins_.let_go();
    closers_.finish();
}

void Manager::tick() {
    pool_.kill_late();
    pool_.retire_idle();
    closers_.work();
    pins_.flush();
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

void Manager::dispatch() {
    while (dispatch_job() == Step::kDone || dispatch_connection() == Step::kDone) {
    }
    announce_demand();
}

// What only waits for its turn, a user's with all the workers that it may have or a release behind another, needs no
// further worker.
bool Manager::work_waits() {
    uint64_t now = sys::now_usec();
    return job_waits() || table_.next([&](const Account& account) { return may_have_worker(account, now); }) != nullptr;
}

// Workers look at this before they linger or go on with a queue, and the manager looks at them after it has said so:
// one of the two sees the other.
void Manager::announce_demand() {
    bool waiting = work_waits();
    uint64_t now = sys::now_usec();
    bool is_new = false;
    for (auto& worker : pool_.all()) {
        bool is_over = !waiting && worker->is_in_flight() && is_over_share(worker->user, now);
        auto demand = waiting || is_over ? Slot::Demand::kWaiting : Slot::Demand::kNone;
        is_new = is_new || (waiting && worker->slot.demand() != demand);
        worker->slot.set_demand(demand);
    }
    if (is_new) {
        while (dispatch_job() == Step::kDone || dispatch_connection() == Step::kDone) {
        }
    }
    if ((waiting || table_.anybody_waits()) && !growing_) {
        growing_ = true;
        // What only waits for its user's turn needs no further worker, but nothing else may tell when the turn comes.
        growth_timer_.fire_after(waiting ? kGrowthUsec : kTurnUsec);
    }
}

FairShare::Company Manager::company_of(Uid user, uint64_t now_usec) const {
    if (share_.company_of(user, now_usec) == FairShare::Company::kWithOthers) return FairShare::Company::kWithOthers;
    // A client that asks again on a connection that its worker has kept is not seen here.
    bool others = std::ranges::any_of(pool_.all(), [&](const auto& worker) {
        return worker->connection && worker->user != user &&
               (worker->is_in_flight() || worker->slot.active_usec() + FairShare::kActiveUsec > now_usec);
    });
    return others ? FairShare::Company::kWithOthers : FairShare::Company::kAlone;
}

Manager::Load Manager::load_of(Uid user, uint64_t now_usec) const {
    Load load;
    for (const auto& worker : pool_.all()) {
        if (worker->user != user || !worker->is_in_flight()) continue;
        ++load.in_flight;
        if (std::max(worker->given_at_usec, worker->slot.active_usec()) + kYoungUsec > now_usec) ++load.young;
    }
    return load;
}

// Whether a user has several workers that use a processor while others are active: these workers are to come back.
bool Manager::is_over_share(Uid user, uint64_t now_usec) const {
    return load_of(user, now_usec).young > 1 && company_of(user, now_usec) == FairShare::Company::kWithOthers;
}

// By processes that the kernel holds: one more might be held as well.
bool Manager::is_held_up(Uid user) const {
    size_t lost = pool_.count_lost(user);
    if (lost > 0 && pool_.count_lost() >= WorkerPool::kMaxLost) return true;
    return lost + closers_.count_held(user) >= kMaxHeldUp;
}

bool Manager::may_have_worker(const Account& account, uint64_t now_usec) const {
    if (is_held_up(account.user)) return false;
    Load load = load_of(account.user, now_usec);
    if (load.in_flight == 0) return true;
    bool is_alone = company_of(account.user, now_usec) == FairShare::Company::kAlone;
    return load.in_flight < kMaxInFlight && load.young < (is_alone ? kMaxYoung : 1);
}

Manager::Step Manager::dispatch_connection() {
    uint64_t now = sys::now_usec();
    size_t free = pool_.count_free();
    Connection* connection = table_.next([&](const Account& account) {
        if (!may_have_worker(account, now)) return false;
        return free > kReserve || load_of(account.user, now).in_flight == 0;
    });
    if (!connection) return Step::kNothingToDo;
    Worker* worker = free_worker();
    if (!worker) return Step::kNothingToDo;
    share_.note(connection->account->user, now);
    hand_over(*worker, *connection);
    return Step::kDone;
}

// Where there is no idle one, one that only keeps a connection for a next request is asked to give that back. It is not
// taken away: while the worker has a copy of the connection, it might be the one that closes it last.
Worker* Manager::free_worker() {
    if (Worker* idle = pool_.find_idle()) return idle;
    if (std::ranges::count_if(pool_.all(), [](const auto& worker) { return worker->is_asked_back; }) >= kMaxAskedBack)
        return nullptr;
    for (auto& worker : pool_.all()) {
        bool lingers = worker->connection && worker->slot.state() == WorkerState::kLingering;
        if (!lingers || worker->is_asked_back) continue;
        Message message;
        message.type = MessageType::kGiveBack;
        worker->is_asked_back = worker->channel.send(message).has_value();
        break;
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
    message.parcel = UniqueFd(connection.parcel.get());
    message.rest = connection.takes_rest ? Message::Rest::kIsTaken : Message::Rest::kIsLeft;
    worker.given_at_usec = sys::now_usec();
    worker.user = connection.account->user;
    worker.slot.set_deadline_usec(worker.given_at_usec + pool::kReadingUsec);
    worker.slot.set_state(WorkerState::kGiven);
    auto sent = worker.channel.send(message);
    static_cast<void>(message.fd.release());  // these are the table's
    static_cast<void>(message.parcel.release());
    if (!sent) return refuse_hand_over(worker, connection, sent.error());
    worker.connection = connection.id;
}

// The worker's fault if it does not read, and that of the client if it has nested sockets in the queues of sockets as
// deeply as the kernel allows (ETOOMANYREFS, unix(7)).
void Manager::refuse_hand_over(Worker& worker, Connection& connection, const Error& error) {
    log::debug("Worker {} takes no connection: {}", worker.pid, error.what());
    if (error.code() == ETOOMANYREFS) {
        set_idle(worker);
        return drop(connection);
    }
    WorkerPool::retire(worker);
    table_.set_waiting(connection);
}

void Manager::set_idle(Worker& worker) {
    worker.slot.set_state(WorkerState::kIdle);
    worker.slot.set_deadline_usec(0);
    worker.slot.set_demand(Slot::Demand::kNone);
    worker.is_asked_back = false;
    worker.idle_since_usec = sys::now_usec();
}

void Manager::on_message(Worker& worker, Message message) {
    switch (message.type) {
        case MessageType::kReady:
            worker.ready = true;
            set_idle(worker);
            break;
        case MessageType::kConnectionIdle:
        case MessageType::kConnectionParked:
        case MessageType::kConnectionClosed:
            on_connection_back(worker, std::move(message));
            break;
        case MessageType::kRegistered:
            for (const auto& identity : message.namespaces) reaper_.watch({identity, message.owner});
            return;
        case MessageType::kJobDone:
        case MessageType::kUntidy:
        case MessageType::kBusyLeftovers:
            on_job_done(worker, message);
            break;
        case MessageType::kKeepMount:
            if (message.namespaces.size() == 1 && message.fd)
                pins_.keep(message.namespaces.front(), std::move(message.fd));
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
    if (worker.job) retry(std::move(*worker.job));
    // Whatever it was at: nothing of a killed call may stay.
    jobs_.push_front({.type = MessageType::kRepair, .writer = worker.pid, .namespaces = {}});
    worker.connection.reset();
    worker.job.reset();
    worker.retiring = true;
    dispatch();
}

}  // namespace nsr::manager
