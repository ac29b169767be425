// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::varlink {

/// The text of one message, without its NUL, and the descriptors that came with its first byte or before it.
struct RawMessage {
    /// Points into the Reader; valid until its next receive().
    std::string_view text;
    std::vector<UniqueFd> fds;
};

/// Cuts what arrives on one connection into messages (interface.md section 1, Messages), for either side. The socket is
/// an AF_UNIX stream socket, blocking or not, without SO_PASSCRED and the like; nobody else may read from it.
class Reader {
public:
    struct Limits {
        /// Bytes of one message without its NUL, finished or not.
        size_t max_message = size_t{2} << 20;
        /// Descriptors of one message; the kernel passes no more than 253 at a time.
        size_t max_fds = 253;
        /// What becomes of the beginning of a message whose end is not there yet: it is taken in, or left to a later
        /// reader as far as that is possible.
        enum class Rest { kTake, kLeave } rest = Rest::kTake;
    };
    enum class Input {
        kReceived,  ///< Something came, or messages wait already: pop() them, then receive() again.
        kNothing,   ///< Nothing there: poll for POLLIN.
        kLeft,      ///< Only the beginning of a message is there, and stays there: POLLIN says nothing (Rest::kLeave).
        kEnd,       ///< The peer will send no more.
    };

    explicit Reader(BorrowedFd socket) : Reader(socket, Limits{}) {}
    Reader(BorrowedFd socket, Limits limits) : socket_(socket), limits_(limits) {}

    /// Takes in what can be had without waiting. An error means that the connection is to be ended: EBADMSG where
    /// descriptors came in the middle of a message, EMSGSIZE for a message that is too large, EMFILE for too many
    /// descriptors, else that of recvmsg(2). Complete messages before it can still be had from pop(); it stays.
    Result<Input> receive();

    /// The next complete message, in order.
    std::optional<RawMessage> pop();

    /// What was taken in of an unfinished message, to be given to another reader of the same connection as the first
    /// thing that it gets. Only while no complete message waits.
    struct Unfinished {
        std::string text;
        std::vector<UniqueFd> fds;
    };
    Unfinished take_unfinished();
    /// EMSGSIZE, EBADMSG: it is none.
    Status resume(Unfinished unfinished);

    /// Whether complete messages wait for pop().
    bool has_message() const { return !complete_.empty(); }
    /// Whether bytes or descriptors of an unfinished message are held.
    bool has_partial() const { return partial_ < end_ || !partial_fds_.empty(); }
    /// Whether the peer's end of stream was seen.
    bool at_end() const { return at_end_; }

private:
    struct Complete {
        size_t offset, size;
        std::vector<UniqueFd> fds;
    };
    enum class Fds { kNone, kSome };
    struct Taken {
        size_t size;
        Fds fds;
    };
    using Peeked = Taken;

    Result<Input> step();
    Status accept_urgent_data();
    void make_room();
    Result<std::optional<Peeked>> peek(size_t size);
    size_t wanted_part(size_t peeked, size_t window) const;
    Status take_with_fds(size_t size);
    size_t piece_before(size_t stop) const;
    Result<Taken> take(size_t size, Fds allowed);
    Status adopt(std::vector<UniqueFd> fds);
    Status scan();

    BorrowedFd socket_;
    Limits limits_;
    std::vector<char> buffer_;  // its size is the room there is
    size_t partial_ = 0;        // where the unfinished message begins
    size_t scanned_ = 0;        // no NUL in [partial_, scanned_)
    size_t end_ = 0;            // where the next bytes go
    std::deque<Complete> complete_;
    std::vector<UniqueFd> partial_fds_;
    std::optional<Error> broken_;
    bool only_space_ = true;  // in [partial_, scanned_)
    bool urgent_inline_ = false;
    bool at_end_ = false;
};

}  // namespace nsr::varlink
