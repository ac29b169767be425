// SPDX-License-Identifier: LGPL-2.1-or-later
// The manager's side of clients: accepting, watching, letting go.
#include <malloc.h>
#include <sys/epoll.h>
#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/sys.h"
#include "manager/manager.h"
#include "manager/peek.h"

namespace nsr::manager {

namespace {

/// Of the clients that wait to be accepted, so many at a time before others get their turn.
constexpr int kAcceptBatch = 64;
/// For a message to be completed.
constexpr uint64_t kPartialUsec = 10'000'000;
/// Half a message is looked at again after this, and the first of each user's that have waited longest.
constexpr uint64_t kLookUsec = 5'000;
constexpr size_t kLooksPerUser = 64;
constexpr uint64_t kLookUsecPerUser = 250;
/// For all users together: the rest has its turn the next time.
constexpr uint64_t kLookUsecInAll = 2'000;
/// Parcels hold up to two MiB each.
constexpr size_t kMaxParcelsPerUser = 4;
constexpr size_t kMaxParcels = 64;
/// Of all connections that there may be, one user may have so many.
constexpr struct {
    size_t numerator = 3, denominator = 4;
} kLargestShare;
/// Descriptors that wait to be closed while the table is full, out of the manager's reserve.
constexpr size_t kMaxOverdraft = 128;
/// For one that is accepted.
constexpr int kMaxEvictions = 4;
/// Connections that came and went, before memory is worth giving back.
constexpr size_t kManyConnections = 512;

}  // namespace

Manager::Admission Manager::accept_one() {
    UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        if (errno == EINTR || errno == ECONNABORTED) return Admission::kDone;
        if (errno == ENOMEM || errno == ENOBUFS) return pause_accepting();
        if (errno != EMFILE && errno != ENFILE) return Admission::kNoneLeft;
        Connection* victim = to_evict();
        if (!victim || closers_.waiting() > kMaxOverdraft) return pause_accepting();
        drop(*victim);
        return Admission::kDone;
    }
    auto peer = sys::peer_credentials(fd.borrow());
    // An urgent byte makes the socket readable, but is not read: the connection would go back and forth for ever.
    int yes = 1;
    bool is_usable = peer && setsockopt(fd.get(), SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes) == 0;
    if (!is_usable) {
        closers_.close_socket(kNoUser, std::move(fd));
        return Admission::kDone;
    }
    Connection& added = table_.add(std::move(fd), *peer, user_of_(Uid(peer->uid)));
    most_connections_ = std::max(most_connections_, table_.size());
    bound_share(*added.account);
    examine(added);
    return make_room();
}

// A user with very many loses the one that has been idle longest, before others have to give room.
void Manager::bound_share(Account& account) {
    size_t bound = table_.limit() / kLargestShare.denominator * kLargestShare.numerator;
    if (account.connections <= bound / 2) return;
    if (account.connections + closers_.waiting(account.user) <= bound) return;
    if (Connection* victim = ConnectionTable::to_evict(account)) drop(*victim);
}

size_t Manager::excess() const {
    size_t all = table_.size() + closers_.waiting();
    return all > table_.limit() ? all - table_.limit() : 0;
}

// Of the user who has most, what waits to be closed included. Where that one has nothing that could be given up, no
// other user loses a connection for it.
Connection* Manager::to_evict() const {
    Connection* victim = table_.to_evict([this](Uid user) { return closers_.waiting(user); });
    if (!victim) return nullptr;
    size_t weight = victim->account->connections + closers_.waiting(victim->account->user);
    return weight >= closers_.most_waiting() ? victim : nullptr;
}

// What is dropped may have to wait until a process closes it, and takes a descriptor until then.
Manager::Admission Manager::make_room() {
    for (int i = 0; i < kMaxEvictions && excess() > 0; ++i) {
        Connection* victim = to_evict();
        if (!victim) break;
        drop(*victim);
    }
    return excess() > kMaxOverdraft ? pause_accepting() : Admission::kDone;
}

// Clients wait in the kernel's queue until there is room, or the next tick.
Manager::Admission Manager::pause_accepting() {
    listening_source_.disable();
    return Admission::kNoneLeft;
}

void Manager::accept_clients() {
    for (int i = 0; i < kAcceptBatch && accept_one() == Admission::kDone; ++i) {
    }
    dispatch();
}

// The only way out of the table: the process that closes the last reference waits for as long as the client likes.
void Manager::drop(Connection& connection) {
    Remains remains = table_.remove(connection);
    closers_.close_socket(remains.user, std::move(remains.socket));
    closers_.close_socket(remains.user, std::move(remains.parcel));
}

bool Manager::may_have_parcel(const Connection& connection) const {
    return connection.parcel || (connection.account->parcels < kMaxParcelsPerUser && table_.parcels() < kMaxParcels);
}

void Manager::examine(Connection& connection) {
    uint64_t now = sys::now_usec();
    Look seen = look(connection, now);
    if (seen == Look::kLarge && !may_have_parcel(connection)) seen = Look::kPartial;
    // A worker has read the beginning, so that nothing may well mean: nothing new.
    if (seen == Look::kNothing && connection.parcel) seen = Look::kPartial;
    switch (seen) {
        case Look::kReady:
            connection.partial_since_usec = 0;
            [[fallthrough]];
        case Look::kLarge:
            if (connection.source) connection.source.disable();
            connection.takes_rest = seen == Look::kLarge;
            if (!stop_looking(connection)) return drop(connection);
            return table_.set_waiting(connection);
        case Look::kPartial:
            if (connection.partial_since_usec == 0) connection.partial_since_usec = now;
            if (connection.partial_since_usec + kPartialUsec <= now) return drop(connection);
            // From here on by the clock: a client that sends byte by byte must not have each one noticed.
            if (connection.source) connection.source.disable();
            table_.set_partial(connection);
            if (!std::exchange(looking_, true)) look_timer_.fire_after(kLookUsec);
            return;
        case Look::kNothing:
            if (!watch(connection)) drop(connection);
            return;
        case Look::kOver:
            return drop(connection);
    }
}

// Edge-triggered: what is there already was seen.
Status Manager::watch(Connection& connection) {
    connection.partial_since_usec = 0;
    if (connection.state == Connection::State::kIdle) return {};
    if (!connection.source) {
        connection.source =
            TRY(loop_.watch_fd(connection.fd.borrow(), EPOLLIN | EPOLLRDHUP | EPOLLET, [this, &connection] {
                examine(connection);
                dispatch();
            }));
    } else {
        connection.source.enable();
    }
    table_.set_idle(connection);
    return {};
}

// The time that this takes is divided by user.
void Manager::look_at_partial_ones() {
    uint64_t now = sys::now_usec();
    uint64_t end = now + kLookUsecInAll;
    auto& looks = table_.looks();
    for (size_t users = looks.size(); users > 0 && !looks.empty() && now < end; --users) {
        Account& account = *looks.front();
        looks.splice(looks.end(), looks, looks.begin());
        look_in_turn(account, now);
        now = sys::now_usec();
    }
    looking_ = !looks.empty();
    if (looking_) look_timer_.fire_after(kLookUsec);
    dispatch();
}

void Manager::look_in_turn(Account& account, uint64_t now_usec) {
    uint64_t end = now_usec + kLookUsecPerUser;
    // The account may go with its last connection, but not before that.
    size_t looks = std::min(account.partial.size(), kLooksPerUser);
    for (size_t i = 0; i < looks; ++i) {
        bool is_last_connection = account.connections == 1;
        examine(*account.partial.front());
        if (is_last_connection || sys::now_usec() >= end) return;
    }
}

// What many connections needed is of use to others once they are gone.
void Manager::give_memory_back() {
    if (most_connections_ < table_.size() + kManyConnections) return;
    most_connections_ = table_.size();
    malloc_trim(0);
}

}  // namespace nsr::manager
