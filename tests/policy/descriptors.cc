// SPDX-License-Identifier: LGPL-2.1-or-later
// Pipes, sockets, memory and terminals, which are on no file system that anybody can reach.
#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// From outside, given by root of the host to the namespace's root, as container managers do with standard output.
Attempt inherited(Stage& stage, const UniqueFd& fd) {
    if (!fd || ::fchown(fd.get(), stage.start(), stage.start()) < 0) return went_wrong("cannot be prepared");
    return tried(stage.inside([&] {
        if (::fchown(fd.get(), 0, 0) < 0) return errno;
        return code_of(::fchown(fd.get(), 7, 7));
    }));
}

Attempt inherited_pipe(Stage& stage) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return went_wrong("no pipe");
    const UniqueFd read_end(ends[0]), write_end(ends[1]);
    return inherited(stage, write_end);
}

Attempt inherited_socket(Stage& stage) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return inherited(stage, fd);
}

Attempt inherited_memory(Stage& stage) {
    const UniqueFd fd(::memfd_create("channels", MFD_CLOEXEC));
    return inherited(stage, fd);
}

Attempt inherited_terminal(Stage& stage) {
    int master = -1, slave = -1;
    if (::openpty(&master, &slave, nullptr, nullptr, nullptr) < 0) return not_here("no terminal to be had");
    const UniqueFd master_fd(master), slave_fd(slave);
    return inherited(stage, slave_fd);
}

Attempt own(Stage& stage) {
    return tried(stage.inside([] {
        const UniqueFd memory(::memfd_create("channels", MFD_CLOEXEC));
        if (!memory || ::fchown(memory.get(), 7, 7) < 0) return errno;
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0) return errno;
        const UniqueFd read_end(ends[0]), write_end(ends[1]);
        if (::fchown(write_end.get(), 7, 7) < 0) return errno;
        const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return socket ? code_of(::fchown(socket.get(), 7, 7)) : lacking(errno);
    }));
}

Attempt abstract_socket(Stage& stage) {
    return tried(stage.inside([] {
        const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // Without a name: the kernel chooses an abstract one.
        return code_of(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family));
    }));
}

}  // namespace

void add_descriptors(Table& table) {
    table.control("fchown of a pipe from outside", Where::kOnce, inherited_pipe);
    table.control("fchown of a socket from outside", Where::kOnce, inherited_socket);
    table.control("fchown of a memfd from outside", Where::kOnce, inherited_memory);
    table.report("fchown of the host's terminal", Where::kOnce, "it lives as long as its master end, which is outside",
                 inherited_terminal);
    table.control("memfd, pipe and socket of its own, with fchown", Where::kOnce, own);
    table.control("abstract socket", Where::kOnce, abstract_socket);
}

}  // namespace nsr::channels
