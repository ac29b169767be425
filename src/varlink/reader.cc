// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/reader.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "varlink/ancillary.h"

namespace nsr::varlink {

namespace {

constexpr size_t kSmallestWindow = 4096;
constexpr size_t kLargestWindow = size_t{256} << 10;
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

Result<Reader::Input> Reader::receive() {
    if (!complete_.empty()) return Input::kReceived;
    if (broken_) return Failure(*broken_);
    if (at_end_) return Input::kEnd;
    Result<Input> input = step();
    if (!input) broken_ = input.error();
    return input;
}

std::optional<RawMessage> Reader::pop() {
    if (complete_.empty()) return {};
    Complete& next = complete_.front();
    RawMessage message{std::string_view(buffer_.data() + next.offset, next.size), std::move(next.fds)};
    complete_.pop_front();
    return message;
}

Result<Reader::Input> Reader::step() {
    TRY(accept_urgent_data());
    make_room();
    size_t window = std::min(buffer_.size() - end_, kLargestWindow);
    std::optional<Peeked> peeked = TRY(peek(window));
    if (!peeked) return Input::kNothing;
    if (peeked->size == 0) {
        at_end_ = true;
        return Input::kEnd;
    }
    size_t size = limits_.rest == Limits::Rest::kLeave ? wanted_part(peeked->size, window) : peeked->size;
    if (size == 0) return Input::kLeft;
    if (peeked->fds == Fds::kSome)
        TRY(take_with_fds(size));
    else
        TRY(take(size, Fds::kNone));
    return Input::kReceived;
}

/// Of what was peeked, all to the end of the last message. Where none ends there, nothing, unless more is there than
/// was seen, or some of the message was taken in before: then there is no way but to go on.
size_t Reader::wanted_part(size_t peeked, size_t window) const {
    std::string_view seen(buffer_.data() + end_, peeked);
    if (size_t last = seen.rfind('\0'); last != seen.npos) return last + 1;
    if (has_partial() || peeked == window) return peeked;
    // A peek ends behind the first packet with descriptors.
    int queued = 0;
    bool is_all = ::ioctl(socket_.get(), SIOCINQ, &queued) == 0 && static_cast<size_t>(queued) <= peeked;
    return is_all ? 0 : peeked;
}

Reader::Unfinished Reader::take_unfinished() {
    Unfinished unfinished{std::string(buffer_.data() + partial_, end_ - partial_), std::exchange(partial_fds_, {})};
    partial_ = scanned_ = end_ = 0;
    only_space_ = true;
    return unfinished;
}

Status Reader::resume(Unfinished unfinished) {
    if (unfinished.text.size() > limits_.max_message) return fail(EMSGSIZE, "the beginning of a message is too large");
    if (unfinished.text.find('\0') != std::string::npos) return fail(EBADMSG, "a message ends in its beginning");
    buffer_.assign(unfinished.text.begin(), unfinished.text.end());
    partial_ = scanned_ = 0;
    end_ = buffer_.size();
    only_space_ = true;
    partial_fds_ = std::move(unfinished.fds);
    return scan();
}

/// A byte sent with MSG_OOB would make poll(2) say that there is something to read, and recvmsg(2) that there is
/// nothing: an endless loop at the sender's will. In line it is a byte like any other.
Status Reader::accept_urgent_data() {
    if (urgent_inline_) return {};
    int on = 1;
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) < 0) {
        int code = errno;
        return fail_errno(code, "set SO_OOBINLINE");
    }
    urgent_inline_ = true;
    return {};
}

/// Moves the unfinished message to the front, and doubles the buffer when it is nearly full. Called only while no
/// complete message waits, and so at most once a message for what is moved.
void Reader::make_room() {
    if (partial_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + partial_, end_ - partial_);
        end_ -= partial_;
        scanned_ -= partial_;
        partial_ = 0;
    }
    if (buffer_.size() - end_ < kSmallestWindow / 2) buffer_.resize(std::max(kSmallestWindow, buffer_.size() * 2));
}

/// Looks at what can be read, without taking it. Nothing where nothing is there; size 0 at the end of the stream.
/// Whether there are descriptors is seen without receiving them: MSG_CTRUNC means that control data found no room. It
/// is about all packets up to the first that has descriptors, behind which a peek stops, even those beyond `size`.
Result<std::optional<Reader::Peeked>> Reader::peek(size_t size) {
    iovec part{buffer_.data() + end_, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t n = ::recvmsg(socket_.get(), &message, MSG_PEEK | MSG_DONTWAIT);
    int code = errno;
    if (n < 0 && (code == EAGAIN || code == EINTR)) return std::optional<Peeked>();
    if (n < 0) return fail_errno(code, "receive");
    return std::optional(Peeked{static_cast<size_t>(n), message.msg_flags & MSG_CTRUNC ? Fds::kSome : Fds::kNone});
}

/// Takes the `size` bytes that were peeked, where descriptors come with one of them or later. One recvmsg(2) joins
/// packets without descriptors and one behind them that has some, and does not tell with which byte they came. So no
/// read goes over a place where it would matter: up to the first byte of a message descriptors are welcome, from there
/// to its end they are not.
Status Reader::take_with_fds(size_t size) {
    size_t stop = end_ + size;
    while (end_ < stop) {
        size_t wanted = piece_before(stop) - end_;
        Taken taken = TRY(take(wanted, Fds::kSome));
        // A peek stops behind the first packet with descriptors, so there are no more in what is left.
        if (taken.fds == Fds::kSome && end_ < stop) {
            TRY(take(stop - end_, Fds::kNone));
            return {};
        }
        if (taken.size < wanted) return {};
    }
    return {};
}

/// Where the part of a message that begins at end_ ends: white space and first byte, or the rest with its NUL.
size_t Reader::piece_before(size_t stop) const {
    const char* first = buffer_.data() + end_;
    const char* last = buffer_.data() + stop;
    const char* piece_end = only_space_ ? std::find_if_not(first, last, is_space) : std::find(first, last, '\0');
    return static_cast<size_t>(piece_end - buffer_.data()) + (piece_end < last ? 1 : 0);
}

/// Reads `size` bytes, all of which are known to be there, and cuts them into messages.
Result<Reader::Taken> Reader::take(size_t size, Fds allowed) {
    iovec part{buffer_.data() + end_, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    // There is room even where no descriptor is expected: one that comes against all knowledge must be seen.
    FdBuffer room;
    room.prepare(message);
    ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int code = errno;
    if (n < 0) return fail_errno(code, "receive");
    std::vector<UniqueFd> fds = own_fds(message);
    if (message.msg_flags & MSG_CTRUNC) return fail(EMFILE, "not all descriptors of a message could be received");
    if (n == 0 || (allowed == Fds::kNone && !fds.empty()))
        return fail(EBADMSG, "the stream changed while it was looked at");
    Taken taken{static_cast<size_t>(n), fds.empty() ? Fds::kNone : Fds::kSome};
    TRY(adopt(std::move(fds)));
    end_ += taken.size;
    TRY(scan());
    return taken;
}

/// Adds descriptors that came at end_ to the message that begins or is unfinished there, if they may.
Status Reader::adopt(std::vector<UniqueFd> fds) {
    if (fds.empty()) return {};
    if (!only_space_) return fail(EBADMSG, "descriptors in the middle of a message");
    if (partial_fds_.size() + fds.size() > limits_.max_fds)
        return fail(EMFILE, "more than {} descriptors with a message", limits_.max_fds);
    if (partial_fds_.empty())
        partial_fds_ = std::move(fds);
    else
        std::ranges::move(fds, std::back_inserter(partial_fds_));
    return {};
}

/// Looks for the ends of messages in what is new.
Status Reader::scan() {
    while (scanned_ < end_) {
        const char* start = buffer_.data() + scanned_;
        const char* stop = buffer_.data() + end_;
        if (only_space_) only_space_ = std::find_if_not(start, stop, is_space) == stop;
        const void* nul = std::memchr(start, '\0', static_cast<size_t>(stop - start));
        size_t message_end = nul ? static_cast<size_t>(static_cast<const char*>(nul) - buffer_.data()) : end_;
        if (message_end - partial_ > limits_.max_message)
            return fail(EMSGSIZE, "message larger than {} bytes", limits_.max_message);
        scanned_ = message_end;
        if (!nul) break;
        complete_.push_back({partial_, message_end - partial_, std::exchange(partial_fds_, {})});
        partial_ = scanned_ = message_end + 1;
        only_space_ = true;
    }
    return {};
}

}  // namespace nsr::varlink
