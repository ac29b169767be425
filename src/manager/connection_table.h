// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/socket.h>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/fd.h"
#include "base/types.h"
#include "manager/event_loop.h"

namespace nsr::manager {

struct Account;

/// One client connection, as the manager sees it.
struct Connection {
    enum class State {
        kIdle,     ///< watched by the event loop
        kPartial,  ///< has sent the beginning of a message; looked at now and then
        kWaiting,  ///< has something to say; waits for a worker
        kServed,   ///< a worker has it
    };

    uint64_t id = 0;
    UniqueFd fd;
    struct ucred peer{};
    State state = State::kServed;
    Account* account = nullptr;
    Source source;
    /// Bytes of a message that has not ended yet, which were looked at; the socket's SO_PEEK_OFF if not 0.
    size_t seen = 0;
    /// When the first byte of that message was seen, and when more of it was, in microseconds; 0: none.
    uint64_t partial_since_usec = 0, grown_usec = 0;
    /// The next worker is to take in the beginning of a message as well.
    bool takes_rest = false;
    /// What a worker has read of a message that is too long for the socket's buffer (worker/parcel.h).
    UniqueFd parcel;
    std::list<Connection*>::iterator place;  // in one of the lists of its account
};

/// The connections of one user: of a uid, and of all uids of the ranges that the user was given (ranges/user_table.h).
struct Account {
    Uid user;
    size_t connections = 0;
    size_t parcels = 0;
    std::list<Connection*> idle;     // the one that has been idle longest first
    std::list<Connection*> partial;  // the next one to be looked at first
    std::list<Connection*> waiting;
    std::list<Account*>::iterator turn, look;  // in the lists of the table, while `waiting` or `partial` is not empty
};

/// What is left of a connection. Who closes it: see closers.h.
struct [[nodiscard]] Remains {
    Uid user;
    UniqueFd socket, parcel;
};

/// All connections, counted by user, and the queues of those that wait for a worker or a look, in which the users take
/// turns.
class ConnectionTable {
public:
    /// `limit` connections in all.
    explicit ConnectionTable(size_t limit);

    Connection& add(UniqueFd fd, const struct ucred& peer, Uid user);
    Remains remove(Connection& connection);
    Connection* find(uint64_t id);
    /// Any of them; null if there is none.
    Connection* any();
    size_t size() const { return connections_.size(); }
    size_t limit() const { return limit_; }

    void set_idle(Connection& connection);
    void set_partial(Connection& connection);
    void set_waiting(Connection& connection);
    void set_served(Connection& connection);
    /// Keeps what a worker has read, or gives it away (to the next worker): an empty descriptor.
    UniqueFd exchange_parcel(Connection& connection, UniqueFd parcel);
    size_t parcels() const { return parcels_; }

    bool anybody_waits() const { return !turns_.empty(); }
    /// The next one in turn, of an account that `may_go` lets pass; null if there is none. It is still waiting.
    template <class Predicate>
    Connection* next(Predicate may_go) {
        for (size_t i = turns_.size(); i > 0; --i) {
            Account* account = turns_.front();
            if (may_go(*account)) return account->waiting.front();
            turns_.splice(turns_.end(), turns_, turns_.begin());
        }
        return nullptr;
    }
    /// The users of which a connection has sent half a message, in turn.
    std::list<Account*>& looks() { return looks_; }

    /// The connection to give up when there is no room: the longest idle one of the user that has the most, or the last
    /// in its queue. Null if workers have them all. So a user loses none because of another one that has more. What
    /// `count_waiting` says that a user has besides counts as well.
    Connection* to_evict(const std::function<size_t(Uid)>& count_waiting) const;
    /// The same, of one user.
    static Connection* to_evict(const Account& account);

private:
    void leave(Connection& connection);

    size_t limit_;
    uint64_t next_id_;
    size_t parcels_ = 0;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::unordered_map<Uid, Account> accounts_;
    std::list<Account*> turns_;  // each account with a connection that waits, once
    std::list<Account*> looks_;  // each account with half a message, once
};

}  // namespace nsr::manager
