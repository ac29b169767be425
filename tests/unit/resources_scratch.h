// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/sys.h"
#include "namespaces/prober.h"
#include "namespaces/user_namespace.h"
#include "resources/cgroup_mount.h"

#define NEEDS_ROOT() \
    if (geteuid() != 0) GTEST_SKIP() << "needs root"

namespace nsr::resources {

/// Runs this in a process of its own, whose mounts, network and filters end with it. The exit status is what it
/// returns: 0 where all is well.
inline int in_child(const std::function<int()>& body) {
    pid_t pid = fork();
    if (pid == 0) _exit(body());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

inline void send_fd(int socket, int fd) {
    char byte = 'x';
    struct iovec data{&byte, 1};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)]{};
    struct msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) _exit(9);
}

inline UniqueFd receive_fd(int socket) {
    char byte;
    struct iovec data{&byte, 1};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    struct msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return {};
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (!header) return {};
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return UniqueFd(fd);
}

/// A process in a user namespace of its own, with 65536 ids, and further namespaces; it makes a descriptor there and
/// lives until this does not.
class Inside {
public:
    explicit Inside(int further, const std::function<int()>& make = [] { return open("/dev/null", O_RDONLY); }) {
        int sockets[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        pid_ = fork();
        if (pid_ == 0) {
            close(sockets[0]);
            char byte = 'x';
            if (unshare(CLONE_NEWUSER | further) < 0 || write(sockets[1], &byte, 1) < 0) _exit(1);
            if (read(sockets[1], &byte, 1) != 1) _exit(2);
            int fd = make();
            if (fd < 0) _exit(3);
            send_fd(sockets[1], fd);
            close(fd);
            if (read(sockets[1], &byte, 1) < 0) _exit(4);
            _exit(0);
        }
        close(sockets[1]);
        socket_.reset(sockets[0]);
        char byte = 'x';
        EXPECT_EQ(read(socket_.get(), &byte, 1), 1);
        for (const char* map : {"uid_map", "gid_map"})
            std::ofstream(fmt::format("/proc/{}/{}", pid_, map)) << "0 524288 65536";
        EXPECT_EQ(write(socket_.get(), &byte, 1), 1);
        made = receive_fd(socket_.get());
        EXPECT_TRUE(made);
    }
    ~Inside() { end(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    void end() {
        socket_.reset();
        if (pid_ > 0) waitpid(std::exchange(pid_, 0), nullptr, 0);
    }
    UniqueFd open_namespace(const char* kind) const {
        auto fd = sys::open_at(sys::kCwd, fmt::format("/proc/{}/ns/{}", pid_, kind), O_RDONLY);
        EXPECT_TRUE(fd) << fd.error().what();
        return std::move(*fd);
    }
    NsIdentity identity() const {
        return namespaces::UserNamespace::from_descriptor(open_namespace("user"))->identity();
    }

    UniqueFd made;

private:
    UniqueFd socket_;
    pid_t pid_ = 0;
};

inline namespaces::Life wait_for_death(const namespaces::Prober& prober, const NsIdentity& identity) {
    for (int i = 0; i < 500 && prober.probe(identity) == namespaces::Life::kAlive; ++i) usleep(10'000);
    return prober.probe(identity);
}

/// A cgroup that is removed at the end, with what is below it.
class ScratchCgroup {
public:
    ScratchCgroup() {
        auto mount = open_cgroup_mount();
        if (!mount) return;
        char root[4096];
        ssize_t length = readlink(fmt::format("/proc/self/fd/{}", mount->get()).c_str(), root, sizeof root);
        EXPECT_GT(length, 0);
        path = fmt::format("{}/nsr-test-{}-{}", std::string_view(root, static_cast<size_t>(length)), getpid(), ++count);
        EXPECT_EQ(mkdir(path.c_str(), 0755), 0) << strerror(errno);
    }
    ~ScratchCgroup() {
        if (!path.empty()) remove(path);
    }
    ScratchCgroup(const ScratchCgroup&) = delete;
    ScratchCgroup& operator=(const ScratchCgroup&) = delete;

    explicit operator bool() const { return !path.empty(); }
    UniqueFd open(int flags = O_RDONLY | O_DIRECTORY) const {
        return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
    }
    CgroupId id(const std::string& below = "") const {
        struct stat st{};
        EXPECT_EQ(stat((path + below).c_str(), &st), 0) << below;
        return CgroupId(st.st_ino);
    }
    void make(const std::string& below) const { EXPECT_EQ(mkdir((path + below).c_str(), 0755), 0) << below; }
    bool has(const std::string& below) const { return access((path + below).c_str(), F_OK) == 0; }

    std::string path;

private:
    static void remove(const std::string& directory) {
        auto names = sys::list_directory(sys::kCwd, directory);
        if (!names) return;
        for (const auto& name : *names) {
            auto st = sys::stat_at(sys::kCwd, directory + "/" + name);
            if (name != "." && name != ".." && st && S_ISDIR(st->st_mode)) remove(directory + "/" + name);
        }
        rmdir(directory.c_str());
    }
    static inline int count = 0;
};

#define NEEDS_CGROUP(cgroup) \
    NEEDS_ROOT();            \
    if (!cgroup) GTEST_SKIP() << "no cgroup2 is mounted here"

}  // namespace nsr::resources
