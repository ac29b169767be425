// SPDX-License-Identifier: LGPL-2.1-or-later
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include "attempt.h"

namespace nsr::channels {

namespace {

// Emulated machines are slow; only what hangs for good runs into this.
constexpr int kPatienceMsec = 20'000;

struct Pipe {
    UniqueFd read_end, write_end;
};

Pipe make_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) < 0) return {};
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void say(int fd, int code) {
    const ssize_t written = ::write(fd, &code, sizeof code);
    if (written != sizeof code) ::_exit(127);
}

int hear(int fd) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMsec) <= 0) return ETIMEDOUT;
    int code = ECHILD;
    if (::read(fd, &code, sizeof code) != sizeof code) return ECHILD;
    return code;
}

void end(int pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

}  // namespace

Page::Page()
    : text(static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
Page::~Page() { ::munmap(text, 4096); }

int run_child(const Body& body) {
    Companion child([&](const std::function<void(int)>& ready) { ready(body()); });
    return child.answer();
}

Companion::Companion(const Story& story) {
    Pipe pipe = make_pipe();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        pipe.read_end.reset();
        story([&](int code) { say(pipe.write_end.get(), code); });
        ::_exit(0);
    }
    pipe.write_end.reset();
    if (pid_ > 0) answer_ = hear(pipe.read_end.get());
}

Companion::~Companion() {
    if (pid_ > 0) end(pid_);
}

namespace {

/// A message of one byte, with room for one descriptor.
struct Parcel {
    Parcel() {
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
    }
    Parcel(const Parcel&) = delete;
    Parcel& operator=(const Parcel&) = delete;

    char byte = 'x';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
};

}  // namespace

int send_descriptor(BorrowedFd socket, BorrowedFd fd) {
    Parcel parcel;
    cmsghdr* header = CMSG_FIRSTHDR(&parcel.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = fd.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof number);
    return code_of(::sendmsg(socket.get(), &parcel.message, 0));
}

UniqueFd receive_descriptor(BorrowedFd socket) {
    Parcel parcel;
    if (::recvmsg(socket.get(), &parcel.message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0) return UniqueFd();
    const cmsghdr* header = CMSG_FIRSTHDR(&parcel.message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return UniqueFd();
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return UniqueFd(fd);
}

}  // namespace nsr::channels
