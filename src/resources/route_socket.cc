// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/route_socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <vector>

namespace nsr::resources {

namespace {

constexpr struct timeval kTimeout{2, 0};
constexpr size_t kAnswerSize = 32768;  // as much as the kernel ever puts into one datagram

}  // namespace

LinkRequest::LinkRequest(uint16_t type, uint16_t flags, int32_t index) : header_(mnl_nlmsg_put_header(buffer_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    auto* link = static_cast<struct ifinfomsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(struct ifinfomsg)));
    link->ifi_index = index;
}

Result<RouteSocket> RouteSocket::open() {
    Handle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    int code = errno;
    if (!socket) return fail_errno(code, "rtnetlink socket");
    int result = mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID);
    if (result == 0)
        result = setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof kTimeout);
    code = errno;
    if (result < 0) return fail_errno(code, "rtnetlink socket");
    return RouteSocket(std::move(socket));
}

Status RouteSocket::ask(const LinkRequest& request, mnl_cb_t callback, void* data) {
    struct nlmsghdr* header = request.header();
    header->nlmsg_seq = ++sequence_;
    ssize_t sent = mnl_socket_sendto(socket_.get(), header, header->nlmsg_len);
    int code = errno;
    if (sent < 0) return fail_errno(code, "rtnetlink request");

    std::vector<char> answer(kAnswerSize);
    unsigned port = mnl_socket_get_portid(socket_.get());
    for (;;) {
        ssize_t length = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
        code = errno;
        if (length < 0 && code == EINTR) continue;
        if (length < 0 && (code == EAGAIN || code == EWOULDBLOCK)) return fail(ETIMEDOUT, "rtnetlink: no answer");
        if (length < 0) return fail_errno(code, "rtnetlink answer");
        int more = mnl_cb_run(answer.data(), static_cast<size_t>(length), sequence_, port, callback, data);
        code = errno;
        if (more < 0) return fail_errno(code, "rtnetlink");
        if (more == MNL_CB_STOP) return {};
    }
}

}  // namespace nsr::resources
