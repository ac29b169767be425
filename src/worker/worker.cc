// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/worker.h"

#include <sys/socket.h>

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/leftovers.h"
#include "lifecycle/recovery.h"
#include "lifecycle/release.h"
#include "lifecycle/repair.h"
#include "lifecycle/stock.h"
#include "lifecycle/transaction.h"
#include "worker/session.h"

namespace nsr::worker {

using pool::Message;
using pool::MessageType;

namespace {

MessageType type_of(Session::End end) {
    switch (end) {
        case Session::End::kIdle:
            return MessageType::kConnectionIdle;
        case Session::End::kParked:
            return MessageType::kConnectionParked;
        default:
            return MessageType::kConnectionClosed;
    }
}

}  // namespace

Status Worker::run() {
    Status ended = work();
    // The manager stopped while something was on its way to it: that is no failure of this side.
    if (!ended && ended.error().code() == EPIPE) return {};
    return ended;
}

Status Worker::work() {
    Message ready;
    ready.type = MessageType::kReady;
    context_.store.prepare();
    TRY(channel_.send(ready));
    for (;;) {
        auto message = TRY(channel_.receive());
        if (!message) return {};
        TRY(handle(std::move(*message)));
    }
}

Status Worker::handle(Message message) {
    if (message.descriptors == Message::Descriptors::kLost)
        return fail(EMFILE, "no descriptor is left for a connection");
    if (message.type == MessageType::kServe) return serve(std::move(message));
    // It has been given back already.
    if (message.type == MessageType::kGiveBack) return {};
    // Users cause jobs by what they let die. Where a line is about a registration, its owner is the one.
    log::OnBehalfOf unknown(log::kUnknownUser);
    return [&]() -> Status {
        switch (message.type) {
            case MessageType::kRelease:
                return release(message);
            case MessageType::kRepair:
                return repair(message);
            case MessageType::kRefill:
                return refill();
            case MessageType::kKeepBack:
                return keep_back();
            case MessageType::kTidy:
                return tidy();
            default:
                return fail(EBADMSG, "unexpected message of the manager");
        }
    }();
}

Status Worker::serve(Message message) {
    varlink::Peer peer{.uid = Uid(message.peer.uid),
                       .gid = Gid(message.peer.gid),
                       .pid = message.peer.pid,
                       .connection_id = message.connection_id,
                       .socket = {}};
    log::OnBehalfOf client(peer.uid);
    Message answer;
    answer.connection_id = message.connection_id;
    slot_.set_state(pool::WorkerState::kReading);  // from here on the request may have been read
    auto end = [&] {
        BorrowedFd connection = message.fd.borrow();
        auto rest = message.rest == Message::Rest::kIsTaken ? varlink::Reader::Limits::Rest::kTake
                                                            : varlink::Reader::Limits::Rest::kLeave;
        Session session(server_, slot_, channel_.fd(), std::move(message.fd), peer, rest);
        auto resumed = message.parcel ? session.resume(std::move(message.parcel)) : Status();
        auto ended = resumed ? session.run([this] { after_call(); }) : Session::End::kClosed;
        // The manager has a copy of the descriptor: closing this one would not end the connection for the client.
        if (ended == Session::End::kClosed) shutdown(connection.get(), SHUT_RDWR);
        answer.parcel = session.parcel();
        return ended;
    }();
    // Whatever the client sent is closed by now.
    answer.type = type_of(end);
    Status sent = channel_.send(answer);
    if (sent || !answer.parcel || sent.error().code() != ETOOMANYREFS) return sent;
    // The client has nested sockets in sockets as deeply as the kernel allows (unix(7)).
    answer.type = MessageType::kConnectionClosed;
    answer.parcel.reset();
    return channel_.send(answer);
}

// Those that the turn did not come to are named first, so that the next one begins with them.
Message Worker::release_in_turn(const std::vector<NsIdentity>& namespaces) {
    Message answer;
    answer.type = MessageType::kJobDone;
    auto turn = lifecycle::ReleaseTurn::begin(context_);
    if (!turn) {
        log::warning("Cannot release user namespaces: {}", turn.error().what());
        answer.namespaces = namespaces;
        return answer;
    }
    std::vector<NsIdentity> waiting, begun;
    for (const auto& identity : namespaces) {
        if (turn->is_over() && &identity != &namespaces.front()) {
            waiting.push_back(identity);
            continue;
        }
        auto outcome = lifecycle::release_in_turn(context_, *turn, identity);
        if (!outcome) log_failure(identity, outcome.error());
        if (!outcome || *outcome == lifecycle::TurnOutcome::kNotNow) answer.namespaces.push_back(identity);
        if (outcome && *outcome == lifecycle::TurnOutcome::kMore) begun.push_back(identity);
    }
    for (const auto& unfinished : {waiting, begun})
        answer.namespaces.insert(answer.namespaces.end(), unfinished.begin(), unfinished.end());
    answer.for_next_turn = static_cast<uint32_t>(waiting.size() + begun.size());
    return answer;
}

// The release is tried again each second, and a user may have many such namespaces.
void Worker::log_failure(const NsIdentity& identity, const Error& error) const {
    auto registration = context_.store.find_by_inode(identity.inode);
    log::OnBehalfOf owner(registration && *registration ? (*registration)->owner : log::kUnknownUser);
    log::warning("Cannot release user namespace {}: {}", identity.inode, error.what());
}

// The lock of releases is free again before the manager hears of it.
Status Worker::release(const Message& message) { return channel_.send(release_in_turn(message.namespaces)); }

// What could not be done now is named in the answer, and asked for again.
Status Worker::repair(const Message& message) {
    Message answer;
    answer.type = lifecycle::repair(context_) ? MessageType::kJobDone : MessageType::kUnrepaired;
    for (const auto& unread : message.namespaces) {
        auto recovered = lifecycle::recover_one(context_, unread.inode);
        Status announced;
        if (recovered && *recovered) announced = context_.announce((*recovered)->userns, (*recovered)->owner);
        if (recovered && announced) continue;
        log::warning("The record of user namespace {} is kept, and looked at again: {}", unread.inode,
                     recovered ? announced.error().what() : recovered.error().what());
        answer.type = MessageType::kUnrepaired;
        answer.namespaces.push_back(unread);
    }
    return channel_.send(answer);
}

Status Worker::refill() {
    if (auto filled = lifecycle::refill(context_, context_.host_ids.files()); !filled)
        log::error("Cannot mark ranges ahead: {}", filled.error().what());
    Message answer;
    answer.type = MessageType::kJobDone;
    return channel_.send(answer);
}

// A worker that fails ends, and the manager gives the job to another one.
Status Worker::keep_back() {
    TRY_WITHIN("ranges that are taken", lifecycle::keep_back(context_));
    Message answer;
    answer.type = MessageType::kJobDone;
    return channel_.send(answer);
}

Status Worker::tidy() {
    auto leftovers = lifecycle::tidy(context_);
    if (!leftovers) log::warning("Cannot remove cgroups: {}", leftovers.error().what());
    Message answer;
    answer.type = MessageType::kJobDone;
    if (!leftovers || *leftovers == lifecycle::Leftovers::kBusy) answer.type = MessageType::kBusyLeftovers;
    if (leftovers && *leftovers == lifecycle::Leftovers::kMore) answer.type = MessageType::kUntidy;
    return channel_.send(answer);
}

// The client has its answer, or is gone.
void Worker::after_call() {
    if (context_.journal.is_in_use())
        lifecycle::end_process(Error(EAGAIN, "the end of a call is not noted everywhere"));
    context_.store.prepare();
    look_after_stock();
}

void Worker::look_after_stock() {
    if (!std::exchange(context_.took_fresh_range, false)) return;
    auto supply = lifecycle::supply(context_);
    if (supply && *supply == ranges::UsedSet::Supply::kPlenty) return;
    Message request;
    request.type = MessageType::kLowOnRanges;
    // If the manager does not hear of it now, the next allocation asks again.
    if (auto sent = channel_.send(request); !sent) log::debug("{}", sent.error().what());
}

}  // namespace nsr::worker
