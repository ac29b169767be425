// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/session.h"

#include <sys/socket.h>

#include "base/log.h"
#include "base/sys.h"
#include "varlink/writer.h"

namespace nsr::worker {

namespace {

using pool::Slot;
using pool::WorkerState;

/// For one request, its answer's way to the client included; the manager kills a worker that takes longer.
constexpr uint64_t kRequestUsec = 30'000'000;
/// For a client that does not read its answers.
constexpr uint64_t kSendUsec = 20'000'000;
/// For the rest of a message that is too long to be waited for by the manager.
constexpr uint64_t kRestUsec = 5'000'000;
/// How long a connection is kept for its next request, if no other connection waits.
constexpr uint64_t kLingerUsec = 200'000;

}  // namespace

Session::Session(const varlink::Server& server, Slot& slot, BorrowedFd manager, UniqueFd connection,
                 const varlink::Peer& peer)
    : server_(server),
      slot_(slot),
      manager_(manager),
      connection_(std::move(connection)),
      peer_(peer),
      reader_(connection_.borrow()) {
    peer_.socket = connection_.borrow();
}

Session::End Session::run(const std::function<void()>& after_call) {
    for (;;) {
        auto input = reader_.receive();
        bool answered = reader_.has_message();
        while (auto raw = reader_.pop()) {
            if (answer(std::move(*raw)) == Verdict::kOver) return End::kClosed;
            after_call();
        }
        if (!input) log::debug("Connection of uid {} ends: {}", peer_.uid, input.error().what());
        if (!input || *input == varlink::Reader::Input::kEnd) return End::kClosed;
        // After an answer there is usually nothing more yet: poll(2) finds out as well as another look would.
        if (*input != varlink::Reader::Input::kNothing && !answered) continue;
        if (reader_.has_partial()) {
            if (wait_for_rest() == Verdict::kOver) return End::kClosed;
        } else if (auto end = linger()) {
            return *end;
        }
    }
}

Session::Verdict Session::answer(varlink::RawMessage raw) {
    slot_.set_deadline_usec(sys::now_usec() + kRequestUsec);
    auto request = varlink::parse_request(raw.text);
    if (!request) {
        log::debug("Connection of uid {} ends: {}", peer_.uid, request.error().what());
        return Verdict::kOver;
    }
    request->fds = std::move(raw.fds);
    auto outcome = server_.dispatch(std::move(*request), peer_);
    auto sent = outcome ? varlink::send_outcome(connection_.borrow(), *outcome, kSendUsec) : Status();
    slot_.set_deadline_usec(0);
    if (!sent) log::debug("Connection of uid {} ends: {}", peer_.uid, sent.error().what());
    return sent ? Verdict::kGoOn : Verdict::kOver;
}

Session::Verdict Session::wait_for_rest() {
    uint64_t now = sys::now_usec();
    if (slot_.deadline_usec() == 0) slot_.set_deadline_usec(now + kRestUsec);  // from its first byte on, not its latest
    uint64_t deadline = slot_.deadline_usec();
    struct pollfd poll{connection_.get(), POLLIN, 0};
    auto ready = sys::poll({&poll, 1}, deadline > now ? deadline - now : 0);
    if (ready && *ready > 0) return Verdict::kGoOn;
    log::debug("Connection of uid {} ends: the rest of a message did not come", peer_.uid);
    return Verdict::kOver;
}

// Saves the way through the manager for a client that has more to ask. The manager can take the connection away at any
// moment by changing the state, as long as no byte of a new request has been taken from the socket.
std::optional<Session::End> Session::linger() {
    slot_.set_state(WorkerState::kLingering);
    auto leave = [&](WorkerState to) { return slot_.exchange(WorkerState::kLingering, to) == Slot::Swap::kDone; };
    if (slot_.demand() != Slot::Demand::kWaiting) {
        struct pollfd polls[2]{{connection_.get(), POLLIN, 0}, {manager_.get(), POLLIN, 0}};
        auto ready = sys::poll(polls, kLingerUsec);
        bool more = ready && polls[0].revents != 0 && polls[1].revents == 0;
        if (more) return leave(WorkerState::kBusy) ? std::nullopt : std::optional(End::kTaken);
    }
    return leave(WorkerState::kIdle) ? End::kIdle : End::kTaken;
}

}  // namespace nsr::worker
