// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/socket.h>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "manager/event_loop.h"

namespace nsr::manager {

struct Account;

/// One client connection, as the manager sees it.
struct Connection {
    enum class State {
        kIdle,     ///< watched by the event loop
        kWaiting,  ///< has something to say; waits for a worker
        kServed,   ///< a worker has it
    };

    uint64_t id = 0;
    UniqueFd fd;
    struct ucred peer{};
    State state = State::kServed;
    Account* account = nullptr;
    Source source;
    /// When the first byte of a message was seen that has not ended yet, in microseconds; 0: none.
    uint64_t partial_since_usec = 0;
    std::list<Connection*>::iterator place;  // in the idle list of its account
};

/// The connections of one uid.
struct Account {
    Uid uid;
    size_t connections = 0;
    std::list<Connection*> idle;  // the one that has been idle longest first
    std::deque<Connection*> waiting;
};

/// All connections, counted by uid, and the queue of those that wait for a worker, in which the uids take turns.
class ConnectionTable {
public:
    /// `limit` connections in all.
    explicit ConnectionTable(size_t limit);

    Connection& add(UniqueFd fd, const struct ucred& peer);
    void remove(Connection& connection);
    Connection* find(uint64_t id);
    size_t size() const { return connections_.size(); }
    bool full() const { return connections_.size() >= limit_; }

    void set_idle(Connection& connection);
    void set_waiting(Connection& connection);
    void set_served(Connection& connection);

    bool anybody_waits() const { return !turns_.empty(); }
    /// The next one in turn, of an account that `may_go` lets pass; null if there is none. It is still waiting.
    template <class Predicate>
    Connection* next(Predicate may_go) {
        for (size_t i = turns_.size(); i > 0; --i) {
            Account* account = turns_.front();
            if (may_go(*account)) return account->waiting.front();
            turns_.pop_front();
            turns_.push_back(account);
        }
        return nullptr;
    }

    /// Those that have sent half a message and are idle.
    std::vector<Connection*> partial() const;

    /// The connection to give up when there is no room: the longest idle one of the uid that has the most, or the last
    /// in its queue. Null if workers have them all. So a uid loses none because of another one that has more.
    Connection* to_evict() const;

private:
    void leave(Connection& connection);

    size_t limit_;
    uint64_t next_id_;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::unordered_map<Uid, Account> accounts_;
    std::deque<Account*> turns_;  // each account with somebody waiting, once
};

}  // namespace nsr::manager
