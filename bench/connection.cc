// SPDX-License-Identifier: LGPL-2.1-or-later
#include "connection.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <cstring>

namespace nsr::bench {

namespace {

struct sockaddr_un address_of(const std::string& path) {
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

Status set_patience(BorrowedFd socket, uint64_t usec) {
    struct timeval patience{static_cast<time_t>(usec / 1'000'000), static_cast<suseconds_t>(usec % 1'000'000)};
    for (int option : {SO_SNDTIMEO, SO_RCVTIMEO})
        if (setsockopt(socket.get(), SOL_SOCKET, option, &patience, sizeof patience) < 0)
            return fail_errno(errno, "time limit of a socket");
    return {};
}

}  // namespace

Result<Connection> Connection::open(const std::string& path, uint64_t patience_usec) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    if (patience_usec > 0) TRY(set_patience(fd.borrow(), patience_usec));
    auto address = address_of(path);
    const void* generic = &address;
    if (connect(fd.get(), static_cast<const struct sockaddr*>(generic), sizeof address) < 0)
        return fail_errno(errno, "connect");
    return Connection(std::move(fd));
}

Status Connection::send(std::string_view request, BorrowedFd with) const {
    std::string_view text = request;
    struct iovec part{const_cast<char*>(text.data()), text.size()};
    struct msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(struct cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (with) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        int fd = with.get();
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    ssize_t n = sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
    if (n < 0) return fail_errno(errno, "send");
    if (static_cast<size_t>(n) != request.size()) return fail(EIO, "a request was cut off");
    return {};
}

Result<std::string_view> Connection::ask(std::string_view request, BorrowedFd with) {
    TRY(send(request, with));
    size_t size = 0;
    while (size < buffer_.size()) {
        ssize_t n = recv(socket_.get(), buffer_.data() + size, buffer_.size() - size, 0);
        if (n < 0) return fail_errno(errno, "receive");
        if (n == 0) return fail(ECONNRESET, "the service closed the connection");
        size += static_cast<size_t>(n);
        if (buffer_[size - 1] == 0) return std::string_view(buffer_.data(), size);
    }
    return fail(EMSGSIZE, "the reply is too long");
}

Status ask_any(const std::string& path, std::string_view request, uint64_t patience_usec) {
    auto connection = TRY(Connection::open(path, patience_usec));
    TRY(connection.ask(request));
    return {};
}

Status ask_once(const std::string& path, std::string_view request, BorrowedFd with, uint64_t patience_usec) {
    auto connection = TRY(Connection::open(path, patience_usec));
    return require_success(TRY(connection.ask(request, with)));
}

Status require_success(std::string_view reply) {
    if (reply.starts_with(R"({"error")")) return fail(EPROTO, "refused: {}", reply.substr(0, reply.size() - 1));
    return {};
}

}  // namespace nsr::bench
