// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/writer.h"

#include <sys/socket.h>

#include "base/sys.h"
#include "varlink/ancillary.h"

namespace nsr::varlink {

namespace {

/// How many bytes went; 0 where the peer has no room for more now.
Result<size_t> send_some(BorrowedFd socket, std::string_view bytes, std::span<const UniqueFd> fds) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    FdBuffer buffer;
    buffer.attach(message, fds);
    ssize_t n = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    int code = errno;
    if (n >= 0) return static_cast<size_t>(n);
    if (code == EAGAIN || code == EINTR) return size_t{0};
    return fail_errno(code, "send");
}

}  // namespace

Status send_message(BorrowedFd socket, std::string_view message, std::span<const UniqueFd> fds, uint64_t timeout_usec) {
    if (message.empty() || message.back() != '\0') return fail(EINVAL, "a message must end with NUL");
    if (fds.size() > kMaxFdsAtOnce) return fail(EINVAL, "more than {} descriptors with a message", kMaxFdsAtOnce);
    uint64_t deadline = 0;
    while (!message.empty()) {
        size_t sent = TRY(send_some(socket, message, fds));
        message.remove_prefix(sent);
        if (message.empty()) break;
        // Once a byte is gone its descriptors are, too.
        if (sent > 0) fds = {};
        uint64_t now = sys::now_usec();
        if (deadline == 0) deadline = now + timeout_usec;
        struct pollfd writable{socket.get(), POLLOUT, 0};
        size_t ready = now > deadline ? 0 : TRY(sys::poll({&writable, 1}, deadline - now));
        if (ready == 0) return fail(ETIMEDOUT, "the peer does not read what is sent");
    }
    return {};
}

Status send_outcome(BorrowedFd socket, const Outcome& outcome, uint64_t timeout_usec) {
    std::string message = serialize_outcome(outcome);
    const Reply* reply = std::get_if<Reply>(&outcome);
    return send_message(socket, message, reply ? std::span(reply->fds) : std::span<const UniqueFd>(), timeout_usec);
}

}  // namespace nsr::varlink
