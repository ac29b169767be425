// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/session.h"

#include <sys/socket.h>

#include "base/log.h"
#include "base/sys.h"
#include "varlink/writer.h"
#include "worker/parcel.h"

namespace nsr::worker {

namespace {

using pool::Slot;
using pool::WorkerState;

/// For one request, its answer's way to the client included; the manager kills a worker that takes longer.
constexpr uint64_t kRequestUsec = 30'000'000;
/// For a client that does not read its answers.
constexpr uint64_t kSendUsec = 20'000'000;
/// For the next piece of a message that is too long for the socket's buffer, from a client that is just sending it.
constexpr uint64_t kPieceUsec = 2'000;
/// How long a connection is kept for its next request, if no other connection waits.
constexpr uint64_t kLingerUsec = 200'000;
/// A client that never stops asking is put behind the others after this.
constexpr uint64_t kTurnUsec = 10'000;

}  // namespace

Session::Session(const varlink::Server& server, Slot& slot, BorrowedFd manager, UniqueFd connection,
                 const varlink::Peer& peer, varlink::Reader::Limits::Rest rest)
    : server_(server),
      slot_(slot),
      manager_(manager),
      connection_(std::move(connection)),
      peer_(peer),
      reader_(connection_.borrow(), {.rest = rest}),
      turn_end_usec_(sys::now_usec() + kTurnUsec) {
    peer_.socket = connection_.borrow();
}

Status Session::resume(UniqueFd parcel) { return reader_.resume(TRY(open_parcel(parcel.borrow()))); }

Session::End Session::run(const std::function<void()>& after_call) {
    using Input = varlink::Reader::Input;
    for (;;) {
        auto input = reader_.receive();
        bool answered = reader_.has_message();
        while (auto raw = reader_.pop()) {
            auto verdict = answer(std::move(*raw));
            after_call();
            if (verdict == Verdict::kOver) return End::kClosed;
        }
        if (!input) log::debug("Connection of uid {} ends: {}", peer_.uid, input.error().what());
        if (!input || *input == Input::kEnd) return End::kClosed;
        if (*input == Input::kLeft) return End::kIdle;
        bool turn_is_over = slot_.demand() == Slot::Demand::kWaiting || sys::now_usec() >= turn_end_usec_;
        if (reader_.has_partial()) {
            bool waits = *input == Input::kNothing && wait_for_more() == Verdict::kOver;
            if (waits || turn_is_over) return park();
        } else if (answered && turn_is_over) {
            return End::kIdle;
        } else if (*input == Input::kNothing || answered) {
            // After an answer there is usually nothing more yet: poll(2) finds out as well as another look would.
            if (auto end = linger()) return *end;
        }
    }
}

Session::Verdict Session::answer(varlink::RawMessage raw) {
    uint64_t now = sys::now_usec();
    slot_.set_active_usec(now);
    auto request = varlink::parse_request(raw.text);
    if (!request) {
        log::debug("Connection of uid {} ends: {}", peer_.uid, request.error().what());
        return Verdict::kOver;
    }
    request->fds = std::move(raw.fds);
    slot_.set_deadline_usec(now + kRequestUsec);
    slot_.set_state(WorkerState::kBusy);
    auto outcome = server_.dispatch(std::move(*request), peer_);
    if (!request->fds.empty()) {
        // What the method did not take is closed before the client is told: it may be a namespace that is to die. A
        // descriptor that holds the worker here is the client's doing, not the call's.
        slot_.set_deadline_usec(sys::now_usec() + pool::kReadingUsec);
        request->fds.clear();
        slot_.set_deadline_usec(now + kRequestUsec);
    }
    auto sent = outcome ? varlink::send_outcome(connection_.borrow(), *outcome, kSendUsec) : Status();
    slot_.set_state(WorkerState::kReading);
    slot_.set_deadline_usec(sys::now_usec() + pool::kReadingUsec);
    if (!sent) log::debug("Connection of uid {} ends: {}", peer_.uid, sent.error().what());
    return sent ? Verdict::kGoOn : Verdict::kOver;
}

// A client in the middle of send(2) has the next piece ready as soon as there is room. One that withholds it must not
// keep a worker.
Session::Verdict Session::wait_for_more() const {
    struct pollfd poll{connection_.get(), POLLIN, 0};
    auto ready = sys::poll({&poll, 1}, kPieceUsec);
    return ready && *ready > 0 ? Verdict::kGoOn : Verdict::kOver;
}

Session::End Session::park() {
    auto parcel = make_parcel(reader_.take_unfinished());
    if (!parcel) {
        log::debug("Connection of uid {} ends: {}", peer_.uid, parcel.error().what());
        return End::kClosed;
    }
    parcel_ = std::move(*parcel);
    return End::kParked;
}

// Saves the way through the manager for a client that has more to ask. The manager can ask for the connection at any
// moment: nothing of it has been read beyond the last answer.
std::optional<Session::End> Session::linger() {
    slot_.set_deadline_usec(0);
    slot_.set_state(WorkerState::kLingering);
    bool more = false;
    if (slot_.demand() != Slot::Demand::kWaiting) {
        struct pollfd polls[2]{{connection_.get(), POLLIN, 0}, {manager_.get(), POLLIN, 0}};
        auto ready = sys::poll(polls, kLingerUsec);
        more = ready && polls[0].revents != 0 && polls[1].revents == 0;
    }
    uint64_t now = sys::now_usec();
    slot_.set_deadline_usec(now + pool::kReadingUsec);
    slot_.set_state(WorkerState::kReading);
    if (!more) return End::kIdle;
    turn_end_usec_ = now + kTurnUsec;
    return std::nullopt;
}

}  // namespace nsr::worker
