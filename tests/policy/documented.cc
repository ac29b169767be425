// SPDX-License-Identifier: LGPL-2.1-or-later
// What keeps an id by value, and is not held: doc/policy-coverage.md says what it means. Each is still to be seen from
// outside when the task inside is gone.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/sys.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr int kPatienceMsec = 10'000;

std::vector<std::string> if_transient(const std::string& what, uint64_t id) {
    return is_transient(id) ? std::vector<std::string>{fmt::format("{} {}", what, id)} : std::vector<std::string>{};
}

uint32_t sender_of_next(const UniqueFd& socket) {
    char byte, control[CMSG_SPACE(sizeof(ucred))] = {};
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(socket.get(), &message, MSG_DONTWAIT) < 0 || CMSG_FIRSTHDR(&message) == nullptr) return 0;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof sender);
    return sender.uid;
}

Attempt sender_in_queue(Stage& stage) {
    auto pair = sys::socket_pair(SOCK_DGRAM);
    const int on = 1;
    if (!pair || ::setsockopt(pair->second.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
        return went_wrong("no sockets");
    const int code = stage.inside([&] { return code_of(::send(pair->first.get(), "x", 1, 0)); });
    return tried(code, if_transient("a message of uid", sender_of_next(pair->second)));
}

/// The number counts in the user namespace of the task that opened the file; the process itself writes it, once.
Attempt login_uid(Stage& stage) {
    auto pair = sys::socket_pair(SOCK_SEQPACKET);
    if (!pair) return went_wrong("no sockets");
    const std::string id = std::to_string(stage.self().delegated + 7);
    const Companion outsider([&](const std::function<void(int)>& ready) {
        const bool is_user = ::setresgid(1000, 1000, 1000) == 0 && ::setresuid(1000, 1000, 1000) == 0;
        ::prctl(PR_SET_DUMPABLE, 1);
        ready(is_user ? 0 : EPERM);
        pollfd wait{pair->second.get(), POLLIN, 0};
        ::poll(&wait, 1, kPatienceMsec);
        const UniqueFd file = receive_descriptor(pair->second.borrow());
        const int code = code_of(::write(file.get(), id.data(), id.size()));
        static_cast<void>(::send(pair->second.get(), &code, sizeof code, 0));
        ::pause();
    });
    const std::string path = fmt::format("/proc/{}/loginuid", outsider.pid());
    if (int code = inside(stage.self(), {},
                          [&] {
                              const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
                              return file ? send_descriptor(pair->first.borrow(), file.borrow()) : lacking(errno);
                          });
        code != 0)
        return tried(code);
    int code = 0;
    if (::recv(pair->first.get(), &code, sizeof code, 0) < 0) return went_wrong("no answer");
    std::ifstream file(path);
    uint64_t found = 0;
    file >> found;
    return code == EPERM ? not_here("it was set before") : tried(code, if_transient("loginuid", found));
}

std::vector<std::string> flow_labels() {
    std::ifstream file("/proc/net/ip6_flowlabel");
    std::string line, label, share;
    uint64_t owner = 0;
    std::getline(file, line);
    while (file >> label >> share >> owner && std::getline(file, line))
        if (is_transient(owner)) return {fmt::format("flow label {} of uid {}", label, owner)};
    return {};
}

Attempt flow_label(Stage& stage) {
    const UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return not_here("no IPv6");
    in6_flowlabel_req request{};
    request.flr_dst.s6_addr[15] = 1;
    request.flr_label = htonl(0x12345);
    request.flr_action = IPV6_FL_A_GET;
    request.flr_share = IPV6_FL_S_USER;
    request.flr_flags = IPV6_FL_F_CREATE;
    const int code = stage.inside([&] {
        const int result = ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &request, sizeof request);
        return result < 0 ? lacking(errno) : 0;
    });
    return tried(code, flow_labels());
}

int send_descriptors(const UniqueFd& socket, size_t count) {
    const std::vector<int> fds(count, socket.get());
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    char byte = 'x';
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), count * sizeof(int));
    return code_of(::sendmsg(socket.get(), &message, MSG_DONTWAIT));
}

/// Another task with the same id cannot send as many as it is allowed to.
Attempt descriptors_on_their_way(Stage& stage) {
    constexpr size_t kEach = 100;
    auto theirs = sys::socket_pair(SOCK_STREAM), later = sys::socket_pair(SOCK_STREAM);
    if (!theirs || !later) return went_wrong("no sockets");
    const int code = stage.inside([&] { return send_descriptors(theirs->first, kEach); });
    const int after = stage.inside([&] {
        const rlimit few{kEach / 2, kEach / 2};
        ::setrlimit(RLIMIT_NOFILE, &few);
        return send_descriptors(later->first, 1);
    });
    return tried(code, after == ETOOMANYREFS ? std::vector<std::string>{"ETOOMANYREFS for another task with the id"}
                                             : std::vector<std::string>{});
}

}  // namespace

void add_documented(Table& table) {
    table.documented("sender of a message that is read later", "is taken for sender", sender_in_queue);
    table.documented("loginuid of a process outside", "none (audit records)", login_uid);
    table.documented("IPv6 flow label through a socket from outside", "none", flow_label);
    table.documented("descriptors on their way in a socket from outside", "uses up its limit",
                     descriptors_on_their_way);
}

}  // namespace nsr::channels
