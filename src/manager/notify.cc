// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/notify.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/shortage.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

/// Connected, so that poll(2) tells whether there is room in the other side's queue.
Result<UniqueFd> connect_to(std::string_view path) {
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return fail(EAFNOSUPPORT, "$NOTIFY_SOCKET is '{}'", path);
    memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    int code = errno;
    if (!socket) return fail_errno(code, "socket");
    auto length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
    int result = connect(socket.get(), reinterpret_cast<const struct sockaddr*>(&address), length);
    code = errno;
    if (result < 0) return fail_errno(code, "connect to $NOTIFY_SOCKET");
    return socket;
}

Status send_message(const std::string& text, BorrowedFd fd, uint64_t patience_usec) {
    const char* path = getenv("NOTIFY_SOCKET");
    if (!path || !*path) return {};
    UniqueFd socket = TRY(connect_to(path));
    struct pollfd room{socket.get(), POLLOUT, 0};
    if (TRY(sys::poll({&room, 1}, patience_usec)) == 0) return fail(EAGAIN, "the service manager does not listen");

    struct iovec part{const_cast<char*>(text.data()), text.size()};
    struct msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    int number = fd.get();
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof number)]{};
    if (number >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        struct cmsghdr* item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof number);
        memcpy(CMSG_DATA(item), &number, sizeof number);
    }
    ssize_t n = 0;
    do n = sendmsg(socket.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    int code = errno;
    if (n < 0) return fail_errno(code, "send to the service manager");
    return {};
}

}  // namespace

Status notify(const std::string& text, uint64_t patience_usec) {
    auto sent = send_message(text, BorrowedFd(), patience_usec);
    bool is_worth_another = !sent && sent.error().code() != EAGAIN;  // that one has been waited for
    if (!is_worth_another) return sent;
    return retry_shortage([&] { return send_message(text, BorrowedFd(), patience_usec); });
}

Status notify_with_fd(const std::string& text, BorrowedFd fd) { return send_message(text, fd, 0); }

}  // namespace nsr::manager
