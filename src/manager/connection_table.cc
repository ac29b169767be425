// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/connection_table.h"

#include <sys/random.h>
#include <cerrno>

namespace nsr::manager {

namespace {

using State = Connection::State;

std::list<Connection*>& list_of(Account& account, State state) {
    if (state == State::kIdle) return account.idle;
    return state == State::kPartial ? account.partial : account.waiting;
}

}  // namespace

// Names that a client cannot choose are derived from the id of its connection: the first one is drawn by lot, so that
// they differ from one run of the service to the next.
ConnectionTable::ConnectionTable(size_t limit) : limit_(limit), next_id_(0) {
    while (getrandom(&next_id_, sizeof next_id_, 0) < 0 && errno == EINTR) {
    }
}

Connection& ConnectionTable::add(UniqueFd fd, const struct ucred& peer, Uid user) {
    auto connection = std::make_unique<Connection>();
    connection->id = next_id_++;
    connection->fd = std::move(fd);
    connection->peer = peer;
    Account& account = accounts_[user];
    account.user = user;
    ++account.connections;
    connection->account = &account;
    Connection& added = *connection;
    connections_.emplace(added.id, std::move(connection));
    return added;
}

Remains ConnectionTable::remove(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    // Out of the event loop first: a copy of the descriptor would keep it there.
    connection.source = Source();
    Remains remains{account.user, std::move(connection.fd), exchange_parcel(connection, UniqueFd())};
    if (--account.connections == 0) accounts_.erase(account.user);
    connections_.erase(connection.id);
    return remains;
}

Connection* ConnectionTable::find(uint64_t id) {
    auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

Connection* ConnectionTable::any() { return connections_.empty() ? nullptr : connections_.begin()->second.get(); }

void ConnectionTable::leave(Connection& connection) {
    Account& account = *connection.account;
    if (connection.state != State::kServed) list_of(account, connection.state).erase(connection.place);
    // The others of the account wait for their next turn.
    if (connection.state == State::kWaiting) {
        if (account.waiting.empty())
            turns_.erase(account.turn);
        else
            turns_.splice(turns_.end(), turns_, account.turn);
    }
    if (connection.state == State::kPartial && account.partial.empty()) looks_.erase(account.look);
    connection.state = State::kServed;
}

void ConnectionTable::set_idle(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    connection.place = account.idle.insert(account.idle.end(), &connection);
    connection.state = State::kIdle;
}

void ConnectionTable::set_partial(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    if (account.partial.empty()) account.look = looks_.insert(looks_.end(), &account);
    connection.place = account.partial.insert(account.partial.end(), &connection);
    connection.state = State::kPartial;
}

void ConnectionTable::set_waiting(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    if (account.waiting.empty()) account.turn = turns_.insert(turns_.end(), &account);
    connection.place = account.waiting.insert(account.waiting.end(), &connection);
    connection.state = State::kWaiting;
}

void ConnectionTable::set_served(Connection& connection) { leave(connection); }

UniqueFd ConnectionTable::exchange_parcel(Connection& connection, UniqueFd parcel) {
    if (connection.parcel) --connection.account->parcels, --parcels_;
    if (parcel) ++connection.account->parcels, ++parcels_;
    return std::exchange(connection.parcel, std::move(parcel));
}

Connection* ConnectionTable::to_evict(const std::function<size_t(Uid)>& count_waiting) const {
    Connection* victim = nullptr;
    size_t most = 0;
    for (const auto& [user, account] : accounts_) {
        size_t weight = account.connections + count_waiting(user);
        Connection* candidate = weight > most ? to_evict(account) : nullptr;
        if (!candidate) continue;
        victim = candidate;
        most = weight;
    }
    return victim;
}

Connection* ConnectionTable::to_evict(const Account& account) {
    if (!account.idle.empty()) return account.idle.front();
    if (!account.partial.empty()) return account.partial.front();
    return account.waiting.empty() ? nullptr : account.waiting.back();
}

}  // namespace nsr::manager
