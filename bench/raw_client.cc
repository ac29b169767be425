// SPDX-License-Identifier: LGPL-2.1-or-later
#include "raw_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <array>
#include <cstring>

namespace nsr::bench {

namespace {

constexpr size_t kMaxDescriptors = 2;
constexpr size_t kReplySize = 4096;
constexpr useconds_t kRetryUsec = 1'000;

}  // namespace

UniqueFd connect_somehow(const std::string& socket_path) {
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
    const void* generic = &address;
    for (;; usleep(kRetryUsec)) {
        UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (fd && connect(fd.get(), static_cast<const struct sockaddr*>(generic), sizeof address) == 0) return fd;
    }
}

size_t send_some(BorrowedFd connection, std::string_view text) {
    ssize_t n = send(connection.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
}

void send_with(BorrowedFd connection, std::string_view text, std::initializer_list<int> fds) {
    struct iovec part{const_cast<char*>(text.data()), text.size()};
    struct msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(struct cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    memcpy(CMSG_DATA(rights), fds.begin(), fds.size() * sizeof(int));
    sendmsg(connection.get(), &header, MSG_NOSIGNAL);
}

std::string receive_some(BorrowedFd connection) {
    std::array<char, kReplySize> reply;
    ssize_t n = recv(connection.get(), reply.data(), reply.size(), 0);
    return {reply.data(), n > 0 ? static_cast<size_t>(n) : 0};
}

}  // namespace nsr::bench
