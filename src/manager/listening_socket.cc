// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/listening_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <climits>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

constexpr char kSocketName[] = "io.systemd.NamespaceResource";
constexpr char kDefaultRuntimeDir[] = "/run/systemd";
constexpr char kVarlinkRegistry[] = "/run/varlink/registry";
/// As many as the kernel lets wait (net.core.somaxconn bounds it).
constexpr int kBacklog = 4096;

// interface.md section 1, Address. Few file systems take them on a socket, and few clients look.
void set_attributes(const std::string& path) {
    constexpr const char* kAttributes[][2] = {{"user.userdb.uid", "61184-65519,524288-1879048191"},
                                              {"user.userdb.gid", "61184-65519,524288-1879048191"},
                                              {"user.userdb.username", "ns-*"},
                                              {"user.userdb.groupname", "ns-*"},
                                              {"user.varlink", "entrypoint"}};
    for (const auto& [name, value] : kAttributes)
        if (setxattr(path.c_str(), name, value, std::string_view(value).size(), 0) < 0) {
            log::debug("No extended attributes on {}: {}", path, errno_name(errno));
            return;
        }
}

Result<sockaddr_un> address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(ENAMETOOLONG, "path of the socket is too long: {}", path);
    path.copy(address.sun_path, path.size());
    return address;
}

Result<UniqueFd> stream_socket() {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    int code = errno;
    if (!fd) return fail_errno(code, "socket");
    return fd;
}

// A socket file stays behind when its service was killed; if somebody answers, it is not stale.
Status require_stale(const std::string& path) {
    auto where = TRY(address(path));
    UniqueFd fd = TRY(stream_socket());
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 || errno == EAGAIN)
        return fail(EADDRINUSE, "another service answers at {}", path);
    return {};
}

void link_to(const std::string& target, const std::string& directory) {
    auto made = [&]() -> Status {
        TRY(sys::ensure_directory(sys::kCwd, directory, 0755));
        std::string path = directory + "/" + kSocketName, temporary = directory + "/.#" + kSocketName;
        unlink(temporary.c_str());
        TRY(sys::symlink_at(target, sys::kCwd, temporary));
        Status renamed = sys::rename_at(sys::kCwd, temporary, sys::kCwd, path);
        if (!renamed) unlink(temporary.c_str());
        return renamed;
    }();
    if (!made) log::warning("No symbolic link to the socket: {}", made.error().what());
}

void announce(const std::string& runtime_dir) {
    link_to(std::string("../") + kSocketName, runtime_dir + "/userdb");
    if (runtime_dir != kDefaultRuntimeDir) return;
    if (auto made = sys::ensure_directory(sys::kCwd, "/run/varlink", 0755); !made)
        log::debug("{}", made.error().what());
    link_to(runtime_dir + "/" + kSocketName, kVarlinkRegistry);
}

Status put_in_place(BorrowedFd socket, const std::string& temporary, const std::string& path) {
    if (chmod(temporary.c_str(), 0666) < 0) return fail_errno(errno, "chmod " + temporary);
    if (listen(socket.get(), kBacklog) < 0) return fail_errno(errno, "listen");
    set_attributes(temporary);
    return sys::rename_at(sys::kCwd, temporary, sys::kCwd, path);
}

// Only a link that we could have made is ours to remove.
void remove_link(const std::string& directory, const std::string& target) {
    std::string path = directory + "/" + kSocketName;
    char found[PATH_MAX];
    ssize_t n = readlink(path.c_str(), found, sizeof found);
    if (n >= 0 && std::string_view(found, static_cast<size_t>(n)) == target) unlink(path.c_str());
}

}  // namespace

Result<UniqueFd> ListeningSocket::make(const std::string& path) {
    TRY(require_stale(path));
    UniqueFd fd = TRY(stream_socket());
    // Made under another name, so that nobody ever meets it with the wrong mode or before it listens.
    std::string temporary = path + ".new";
    unlink(temporary.c_str());
    auto where = TRY(address(temporary));
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) < 0)
        return fail_errno(errno, "bind " + temporary);
    Status in_place = put_in_place(fd.borrow(), temporary, path);
    if (!in_place) unlink(temporary.c_str());
    TRY(std::move(in_place));
    return fd;
}

Result<ListeningSocket> ListeningSocket::acquire(const std::string& runtime_dir, UniqueFd passed) {
    if (passed) return ListeningSocket(std::move(passed), "");
    std::string path = runtime_dir + "/" + kSocketName;
    ListeningSocket own(TRY(make(path)), path);
    announce(runtime_dir);
    return own;
}

ListeningSocket::~ListeningSocket() {
    if (!fd_ || own_path_.empty()) return;
    std::string runtime_dir = own_path_.substr(0, own_path_.rfind('/'));
    unlink(own_path_.c_str());
    remove_link(runtime_dir + "/userdb", std::string("../") + kSocketName);
    if (runtime_dir == kDefaultRuntimeDir) remove_link(kVarlinkRegistry, own_path_);
}

}  // namespace nsr::manager
