// SPDX-License-Identifier: LGPL-2.1-or-later
// The manager's side of turns: which user's connection gets which worker, and when.
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "manager/manager.h"

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
/// If connections still wait after this, another worker is started.
constexpr uint64_t kGrowthUsec = 5'000;
/// If connections wait for the turn of their user, it is looked at again after this.
constexpr uint64_t kTurnUsec = 20'000;

}  // namespace

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

}  // namespace nsr::manager
