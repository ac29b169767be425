// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/socket.h>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::pool {

enum class MessageType : uint32_t {
    // manager to worker
    kServe,     ///< a connection, as the message's descriptor, and what was read from it before
    kGiveBack,  ///< the connection that the worker keeps for a next request; nothing if it has none
    kRelease,   ///< registrations whose namespace is dead, to be taken back
    kRepair,    ///< what dead workers left half done; namespaces whose records could not be read are named
    kRefill,    ///< mark fresh ranges ahead
    kKeepBack,  ///< mark all ranges that are taken as used, so that they are not handed out again before a reclaim
    kTidy,      ///< remove cgroups that were busy or large when their namespace died
    // worker to manager
    kReady,             ///< up, and waiting
    kConnectionIdle,    ///< the connection has nothing more to say at present
    kConnectionParked,  ///< a message is longer than what the client's socket holds; what was read of it is in a parcel
    kConnectionClosed,  ///< it is over
    kRegistered,        ///< namespaces that now have a registration
    kJobDone,           ///< a job has ended; of a release, namespaces that could not be released yet are named
    kUnrepaired,        ///< a repair has ended, and something is left; what could not be read is named
    kLowOnRanges,       ///< a refill is needed
    kUntidy,            ///< the turn of a tidying has ended: there is more to be done at once
    kBusyLeftovers,     ///< the same, but what is left has processes still
    kKeepMount,         ///< a descriptor, to be kept as long as the namespace is registered
};

/// One message between the manager and a worker.
struct Message {
    MessageType type{};
    uint64_t connection_id = 0;  ///< kServe, kConnectionIdle, kConnectionParked, kConnectionClosed
    struct ucred peer{};         ///< kServe
    UniqueFd fd;                 ///< kServe, kKeepMount
    UniqueFd parcel;             ///< kServe, kConnectionParked; may be empty
    /// kServe: whether the beginning of a message is to be taken in, since the client's buffer may be full.
    enum class Rest : uint32_t { kIsLeft, kIsTaken } rest = Rest::kIsLeft;
    std::vector<NsIdentity> namespaces;
    uint32_t for_next_turn = 0;  ///< kJobDone: the last so many of the namespaces only wait for another turn
    Uid owner;                   ///< kRegistered
    /// Of one that was received: descriptors did not fit into the table of this process, and are closed.
    enum class Descriptors : bool { kWhole, kLost } descriptors = Descriptors::kWhole;
};

/// The most namespaces in one message.
constexpr size_t kMaxNamespaces = 256;

/// One end of the SOCK_SEQPACKET pair between the manager and a worker.
class Channel {
public:
    explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

    BorrowedFd fd() const { return socket_.borrow(); }

    /// EAGAIN where the other side does not read (only possible on a non-blocking socket).
    Status send(const Message& message) const;
    /// Nothing: the other side is gone. EAGAIN on a non-blocking socket where there is no message. One whose
    /// descriptors could not be received has none.
    Result<std::optional<Message>> receive() const;

private:
    UniqueFd socket_;
};

}  // namespace nsr::pool
