// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/writer.h"

#include <sys/socket.h>
#include <cstring>

#include "base/sys.h"

namespace nsr::varlink {

namespace {

/// The kernel's SCM_MAX_FD.
constexpr size_t kMaxFds = 253;

/// Descriptors as control data of a message; `buffer` must live as long as `message` is used.
void attach(msghdr& message, std::span<const UniqueFd> fds, std::span<char> buffer) {
    if (fds.empty()) return;
    message.msg_control = buffer.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    std::memset(buffer.data(), 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    for (size_t i = 0; i < fds.size(); i++) {
        int fd = fds[i].get();
        std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
}

/// How many bytes went; 0 where the peer has no room for more now.
Result<size_t> send_some(BorrowedFd socket, std::string_view bytes, std::span<const UniqueFd> fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    attach(message, fds, control);
    ssize_t n = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    int code = errno;
    if (n >= 0) return static_cast<size_t>(n);
    if (code == EAGAIN || code == EINTR) return size_t{0};
    return fail_errno(code, "send");
}

}  // namespace

Status send_message(BorrowedFd socket, std::string_view message, std::span<const UniqueFd> fds, uint64_t timeout_usec) {
    if (message.empty() || message.back() != '\0') return fail(EINVAL, "a message must end with NUL");
    if (fds.size() > kMaxFds) return fail(EINVAL, "more than {} descriptors with a message", kMaxFds);
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
