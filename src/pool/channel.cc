// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/channel.h"

#include <array>
#include <cstring>

namespace nsr::pool {

namespace {

// What travels: both ends are of one build, and on one machine.
struct Wire {
    MessageType type;
    uint32_t count;
    uint64_t connection_id;
    struct ucred peer;
    pid_t writer;
};

constexpr size_t kControlSize = CMSG_SPACE(sizeof(int));

void attach_fd(struct msghdr& header, std::span<char> control, int fd) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    struct cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(item), &fd, sizeof fd);
}

UniqueFd detach_fd(struct msghdr& header) {
    int fd = -1;
    struct cmsghdr* item = CMSG_FIRSTHDR(&header);
    if (item && item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS &&
        item->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(item), sizeof fd);
    return UniqueFd(fd);
}

}  // namespace

Status Channel::send(const Message& message) const {
    Wire wire{};
    wire.type = message.type;
    wire.count = static_cast<uint32_t>(message.namespaces.size());
    wire.connection_id = message.connection_id;
    wire.peer = message.peer;
    wire.writer = message.writer;
    std::array<struct iovec, 2> parts{
        {{&wire, sizeof wire},
         {const_cast<NsIdentity*>(message.namespaces.data()), message.namespaces.size() * sizeof(NsIdentity)}}};
    struct msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    alignas(struct cmsghdr) std::array<char, kControlSize> control{};
    if (message.fd) attach_fd(header, control, message.fd.get());
    for (;;) {
        ssize_t n = sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
        int code = errno;
        if (n >= 0) return {};
        if (code != EINTR) return fail_errno(code, "send on the worker channel");
    }
}

Result<std::optional<Message>> Channel::receive() const {
    Wire wire{};
    std::array<NsIdentity, kMaxNamespaces> namespaces;
    std::array<struct iovec, 2> parts{{{&wire, sizeof wire}, {namespaces.data(), sizeof namespaces}}};
    struct msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    alignas(struct cmsghdr) std::array<char, kControlSize> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t n = 0;
    do n = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    int code = errno;
    if (n < 0 && code == ECONNRESET) return std::optional<Message>();
    if (n < 0) return fail_errno(code, "receive on the worker channel");
    if (n == 0) return std::optional<Message>();
    Message message;
    message.fd = detach_fd(header);
    if (static_cast<size_t>(n) < sizeof wire || wire.count > kMaxNamespaces ||
        static_cast<size_t>(n) != sizeof wire + wire.count * sizeof(NsIdentity))
        return fail(EBADMSG, "malformed message on the worker channel");
    message.type = wire.type;
    message.connection_id = wire.connection_id;
    message.peer = wire.peer;
    message.writer = wire.writer;
    message.namespaces.assign(namespaces.begin(), namespaces.begin() + wire.count);
    return std::optional<Message>(std::move(message));
}

}  // namespace nsr::pool
