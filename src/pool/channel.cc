// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/channel.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace nsr::pool {

namespace {

// What travels: both ends are of one build, and on one machine.
struct Wire {
    MessageType type;
    uint32_t count;
    uint32_t has_fd, has_parcel;
    Message::Rest rest;
    uint64_t connection_id;
    struct ucred peer;
    uint32_t for_next_turn;
    Uid owner;
};

constexpr size_t kMaxFds = 2;
constexpr size_t kControlSize = CMSG_SPACE(kMaxFds * sizeof(int));

/// While the kernel is short of something.
constexpr int kAttempts = 3;

bool is_worth_another(int code, int attempt) {
    return code == EINTR || ((code == ENOMEM || code == ENOBUFS) && attempt < kAttempts);
}

void attach_fds(struct msghdr& header, std::span<char> control, std::span<const int> fds) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    struct cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(fds.size_bytes());
    memcpy(CMSG_DATA(item), fds.data(), fds.size_bytes());
}

std::vector<UniqueFd> detach_fds(struct msghdr& header) {
    std::vector<UniqueFd> fds;
    struct cmsghdr* item = CMSG_FIRSTHDR(&header);
    if (!item || item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) return fds;
    for (size_t at = 0; at + sizeof(int) <= item->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd = -1;
        memcpy(&fd, CMSG_DATA(item) + at, sizeof fd);
        fds.emplace_back(fd);
    }
    return fds;
}

}  // namespace

Status Channel::send(const Message& message) const {
    Wire wire{};
    wire.type = message.type;
    wire.count = static_cast<uint32_t>(message.namespaces.size());
    wire.connection_id = message.connection_id;
    wire.peer = message.peer;
    wire.has_fd = message.fd ? 1 : 0;
    wire.has_parcel = message.parcel ? 1 : 0;
    wire.rest = message.rest;
    wire.for_next_turn = message.for_next_turn;
    wire.owner = message.owner;
    std::array<struct iovec, 2> parts{
        {{&wire, sizeof wire},
         {const_cast<NsIdentity*>(message.namespaces.data()), message.namespaces.size() * sizeof(NsIdentity)}}};
    struct msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    alignas(struct cmsghdr) std::array<char, kControlSize> control{};
    std::array<int, kMaxFds> fds{message.fd ? message.fd.get() : message.parcel.get(), message.parcel.get()};
    size_t fd_count = wire.has_fd + wire.has_parcel;
    if (fd_count > 0) attach_fds(header, control, std::span(fds).first(fd_count));
    for (int attempt = 1;; ++attempt) {
        ssize_t n = sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
        int code = errno;
        if (n >= 0) return {};
        if (!is_worth_another(code, attempt)) return fail_errno(code, "send on the worker channel");
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
    int code = 0, attempt = 0;
    do {
        n = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
        code = errno;
    } while (n < 0 && is_worth_another(code, ++attempt));
    if (n < 0 && code == ECONNRESET) return std::optional<Message>();
    if (n < 0) return fail_errno(code, "receive on the worker channel");
    if (n == 0) return std::optional<Message>();
    Message message;
    auto fds = detach_fds(header);
    if ((header.msg_flags & MSG_CTRUNC) != 0) {
        // EMFILE or ENFILE. The rest of the message is as it was sent.
        message.descriptors = Message::Descriptors::kLost;
        fds.clear();
        wire.has_fd = wire.has_parcel = 0;
    }
    if (static_cast<size_t>(n) < sizeof wire || wire.count > kMaxNamespaces ||
        fds.size() != wire.has_fd + wire.has_parcel ||
        static_cast<size_t>(n) != sizeof wire + wire.count * sizeof(NsIdentity))
        return fail(EBADMSG, "malformed message on the worker channel");
    if (wire.has_parcel) message.parcel = std::move(fds.back());
    if (wire.has_fd) message.fd = std::move(fds.front());
    message.type = wire.type;
    message.rest = wire.rest;
    message.connection_id = wire.connection_id;
    message.peer = wire.peer;
    message.for_next_turn = std::min(wire.for_next_turn, wire.count);
    message.owner = wire.owner;
    message.namespaces.assign(namespaces.begin(), namespaces.begin() + wire.count);
    return std::optional<Message>(std::move(message));
}

}  // namespace nsr::pool
