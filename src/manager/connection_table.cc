// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/connection_table.h"

#include <sys/random.h>
#include <algorithm>
#include <cassert>

namespace nsr::manager {

// Names that a client cannot choose are derived from the id of its connection: the first one is drawn by lot, so that
// they differ from one run of the service to the next.
ConnectionTable::ConnectionTable(size_t limit) : limit_(limit), next_id_(0) {
    while (getrandom(&next_id_, sizeof next_id_, 0) < 0 && errno == EINTR) {
    }
}

Connection& ConnectionTable::add(UniqueFd fd, const struct ucred& peer) {
    auto connection = std::make_unique<Connection>();
    connection->id = next_id_++;
    connection->fd = std::move(fd);
    connection->peer = peer;
    Account& account = accounts_[Uid(peer.uid)];
    account.uid = Uid(peer.uid);
    ++account.connections;
    connection->account = &account;
    Connection& added = *connection;
    connections_.emplace(added.id, std::move(connection));
    return added;
}

void ConnectionTable::remove(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    if (--account.connections == 0) accounts_.erase(account.uid);
    connections_.erase(connection.id);
}

Connection* ConnectionTable::find(uint64_t id) {
    auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

void ConnectionTable::leave(Connection& connection) {
    Account& account = *connection.account;
    switch (connection.state) {
        case Connection::State::kIdle:
            account.idle.erase(connection.place);
            break;
        case Connection::State::kWaiting: {
            // Nearly always the first: it has been chosen by next().
            auto place = std::ranges::find(account.waiting, &connection);
            assert(place != account.waiting.end());
            account.waiting.erase(place);
            auto turn = std::ranges::find(turns_, &account);
            assert(turn != turns_.end());
            turns_.erase(turn);
            if (!account.waiting.empty()) turns_.push_back(&account);
            break;
        }
        case Connection::State::kServed:
            break;
    }
    connection.state = Connection::State::kServed;
}

void ConnectionTable::set_idle(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    connection.place = account.idle.insert(account.idle.end(), &connection);
    connection.state = Connection::State::kIdle;
}

void ConnectionTable::set_waiting(Connection& connection) {
    leave(connection);
    Account& account = *connection.account;
    if (account.waiting.empty()) turns_.push_back(&account);
    account.waiting.push_back(&connection);
    connection.state = Connection::State::kWaiting;
}

void ConnectionTable::set_served(Connection& connection) { leave(connection); }

std::vector<Connection*> ConnectionTable::partial() const {
    std::vector<Connection*> found;
    for (const auto& [id, connection] : connections_)
        if (connection->partial_since_usec != 0 && connection->state == Connection::State::kIdle)
            found.push_back(connection.get());
    return found;
}

Connection* ConnectionTable::to_evict() const {
    const Account* heaviest = nullptr;
    for (const auto& [uid, account] : accounts_) {
        bool has_any = !account.idle.empty() || !account.waiting.empty();
        if (has_any && (!heaviest || account.connections > heaviest->connections)) heaviest = &account;
    }
    if (!heaviest) return nullptr;
    return heaviest->idle.empty() ? heaviest->waiting.back() : heaviest->idle.front();
}

}  // namespace nsr::manager
