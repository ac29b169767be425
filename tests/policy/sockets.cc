// SPDX-License-Identifier: LGPL-2.1-or-later
// The owner of a socket that a process outside holds on to: sockets of one owner may share a port.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/result.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

std::vector<std::string> transient_user(const UniqueFd& socket) {
    struct stat status{};
    if (::fstat(socket.get(), &status) < 0 || !is_transient(status.st_uid)) return {};
    return {fmt::format("a socket of uid {}", status.st_uid)};
}

/// A socket of that user, made outside, gets another owner inside.
Attempt given(const Space& space, uint32_t user, const std::function<int(int)>& give) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::fchown(socket.get(), user, user) < 0) return went_wrong("no socket");
    const int code = inside(space, {}, [&] { return give(socket.get()); });
    return tried(code, transient_user(socket));
}

int give_by_path(int socket) {
    const std::string path = "/proc/self/fd/" + std::to_string(socket);
    return code_of(::chown(path.c_str(), 7, 7));
}

/// Of the namespace's own ids, by root of the host, as container managers do.
Attempt given_on(Stage& stage) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::fchown(socket.get(), stage.start(), stage.start()) < 0) return went_wrong("no socket");
    return tried(stage.inside([&] { return code_of(::fchown(socket.get(), 7, 7)); }));
}

}  // namespace

void add_sockets(Table& table) {
    table.channel("fchown of a user's socket to a delegated id", Where::kOnce, [](Stage& s) {
        const uint32_t id = s.self().delegated;
        return given(s.self(), 1000, [id](int socket) { return code_of(::fchown(socket, id, id)); });
    });
    table.channel("fchown of a foreign socket", Where::kOnce, [](Stage& s) {
        return given(s.managed(), kForeign, [](int socket) { return code_of(::fchown(socket, 7, 7)); });
    });
    table.channel("fchownat of a foreign socket", Where::kOnce, [](Stage& s) {
        return given(s.managed(), kForeign,
                     [](int socket) { return code_of(::fchownat(socket, "", 7, 7, AT_EMPTY_PATH)); });
    });
    table.channel("chown of a foreign socket by /proc/self/fd", Where::kOnce,
                  [](Stage& s) { return given(s.managed(), kForeign, give_by_path); });
    table.control("fchown of a foreign socket to a foreign id", Where::kOnce, [](Stage& s) {
        return given(s.managed(), kForeign, [](int socket) { return code_of(::fchown(socket, kForeign + 1, -1U)); });
    });
    table.control("fchown of a foreign socket, group alone", Where::kOnce, [](Stage& s) {
        return given(s.managed(), kForeign, [](int socket) { return code_of(::fchown(socket, -1U, 7)); });
    });
    table.control("fchown of a user's socket to itself", Where::kOnce, [](Stage& s) {
        return given(s.self(), 1000, [](int socket) { return code_of(::fchown(socket, 0, 0)); });
    });
    table.control("fchown of a socket of the range", Where::kOnce, given_on);
}

}  // namespace nsr::channels
