// SPDX-License-Identifier: LGPL-2.1-or-later
#include "makers.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>

#include "attempt.h"
#include "base/fd.h"

namespace nsr::channels {

namespace {

constexpr const char* kWhiteout = "mknod 0:0 (whiteout)";

int make_node(const std::string& path, mode_t type, dev_t device = 0) {
    return code_of(::mknod(path.c_str(), type | 0644, device));
}

int by_creat(const std::string& directory) {
    const UniqueFd fd(::creat((directory + "/creat").c_str(), 0644));
    return code_of(fd.get());
}

int by_openat2(const std::string& directory) {
    const UniqueFd dir(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    open_how how{};
    how.flags = O_CREAT | O_WRONLY | O_CLOEXEC;
    how.mode = 0644;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, dir.get(), "openat2", &how, sizeof how)));
    return code_of(fd.get());
}

int through_dangling_link(const std::string& directory) {
    // Somebody else's link into the directory: what is made is the file that it names.
    const std::string link = directory + "/../dangling";
    struct stat status{};
    if (::lstat(link.c_str(), &status) < 0) return lacking(ENOENT);
    const UniqueFd fd(::open(link.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    return code_of(fd.get());
}

}  // namespace

int make_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    return code_of(fd.get());
}

int make_directory(const std::string& path) { return code_of(::mkdir(path.c_str(), 0755)); }

int make_temporary_file(const std::string& directory, const std::string& path) {
    const UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
    if (!fd) return errno == EOPNOTSUPP ? lacking(EOPNOTSUPP) : errno;
    const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
    return code_of(::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
}

int bind_socket(const std::string& path, int type) {
    const UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    // The name of a socket is short: the directory by its descriptor.
    const size_t slash = path.rfind('/');
    const UniqueFd dir(::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const std::string name = "/proc/self/fd/" + std::to_string(dir.get()) + path.substr(slash);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
    return code_of(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

const std::vector<Maker>& makers() {
    static const std::vector<Maker> kAll{
        {"open(O_CREAT)", [](const std::string& d) { return make_file(d + "/open"); }},
        {"creat", by_creat},
        {"openat2", by_openat2},
        {"open through a dangling link", through_dangling_link},
        {"mkdir", [](const std::string& d) { return make_directory(d + "/mkdir"); }},
        {"mknod FIFO", [](const std::string& d) { return make_node(d + "/fifo", S_IFIFO); }},
        {"mknod socket", [](const std::string& d) { return make_node(d + "/node", S_IFSOCK); }},
        {"mknod regular file", [](const std::string& d) { return make_node(d + "/file", S_IFREG); }},
        {kWhiteout, [](const std::string& d) { return make_node(d + "/white", S_IFCHR, makedev(0, 0)); }},
        {"symlink", [](const std::string& d) { return code_of(::symlink("target", (d + "/symlink").c_str())); }},
        {"bind stream", [](const std::string& d) { return bind_socket(d + "/stream", SOCK_STREAM); }},
        {"bind datagram", [](const std::string& d) { return bind_socket(d + "/dgram", SOCK_DGRAM); }},
        {"bind seqpacket", [](const std::string& d) { return bind_socket(d + "/seq", SOCK_SEQPACKET); }},
    };
    return kAll;
}

int refused_all(const std::string& directory) {
    Refusals refusals;
    for (const auto& maker : makers())
        if (const int code = maker.make(directory); code >= 0) refusals.add(code);
    return refusals.code();
}

int allowed_all(const std::string& directory, Whiteouts whiteouts) {
    for (const auto& maker : makers()) {
        if (whiteouts == Whiteouts::kNone && maker.name == kWhiteout) continue;
        if (const int code = maker.make(directory); code > 0) return code;
    }
    return 0;
}

int check_owner(const std::string& path, unsigned uid, unsigned gid) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) < 0) return errno;
    return status.st_uid == uid && status.st_gid == gid ? 0 : EBADMSG;
}

}  // namespace nsr::channels
