// SPDX-License-Identifier: LGPL-2.1-or-later
#include "echo_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <array>

#include "base/fd.h"

namespace nsr::bench {

namespace {

void serve(int fd, const std::string& reply) {
    std::array<char, 65536> buffer;
    for (;;) {
        ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
        if (n <= 0) return;
        if (buffer[static_cast<size_t>(n) - 1] != 0) continue;
        if (send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
    }
}

int run(int listening, size_t reply_size) {
    std::string reply(reply_size, ' ');
    reply.back() = 0;
    for (;;) {
        UniqueFd fd(accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd) return 1;
        serve(fd.get(), reply);
    }
}

}  // namespace

Result<EchoServer> EchoServer::start(const std::string& path, size_t reply_size) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const void* generic = &address;
    unlink(path.c_str());
    if (bind(fd.get(), static_cast<const struct sockaddr*>(generic), sizeof address) < 0)
        return fail_errno(errno, "bind");
    if (chmod(path.c_str(), 0666) < 0) return fail_errno(errno, "chmod");
    if (listen(fd.get(), 64) < 0) return fail_errno(errno, "listen");
    return EchoServer(TRY(Child::run([&] { return run(fd.get(), reply_size); })), path);
}

}  // namespace nsr::bench
