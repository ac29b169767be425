// SPDX-License-Identifier: LGPL-2.1-or-later
// Signals that a file sends (fcntl(2) F_SETOWN and its kin): it keeps the uids of the process that asked for them.
#include <asm/sockios.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>

#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// What signals, and what it takes to make it do so.
struct Source {
    UniqueFd file;
    UniqueFd other{};
};

/// One way to be signalled. The functions answer 0 or an errno value, and lacking() where the kernel has no such thing.
struct Way {
    const char* name;
    Source (*open)(const std::string& directory);
    int (*ask)(const Source& source);
    int (*cause)(const Source& source, const std::string& directory);
    int patience_msec = 0;
};

constexpr int kTerminalPatienceMsec = 1000;

Source open_pipe(const std::string&) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return {};
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
Source open_sockets(const std::string&) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return {};
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
Source open_terminal(const std::string&) {
    int master = -1, slave = -1;
    if (::openpty(&master, &slave, nullptr, nullptr, nullptr) < 0) return {};
    return {UniqueFd(slave), UniqueFd(master)};
}
Source open_file(const std::string& directory) {
    return {UniqueFd(::open((directory + "/f").c_str(), O_RDONLY | O_CLOEXEC))};
}
Source open_directory(const std::string& directory) {
    return {UniqueFd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))};
}

int turn_on(const Source& source) { return code_of(::fcntl(source.file.get(), F_SETFL, O_ASYNC)); }

int ask_for_process(const Source& source) {
    if (::fcntl(source.file.get(), F_SETOWN, ::getpid()) < 0) return errno;
    return turn_on(source);
}
int ask_for_group(const Source& source) {
    if (::setpgid(0, 0) < 0 || ::fcntl(source.file.get(), F_SETOWN, -::getpgrp()) < 0) return errno;
    return turn_on(source);
}
int ask_for_thread(const Source& source) {
    f_owner_ex owner{F_OWNER_TID, ::gettid()};
    if (::fcntl(source.file.get(), F_SETOWN_EX, &owner) < 0) return errno;
    return turn_on(source);
}
int ask_by_ioctl(const Source& source, unsigned long request) {
    const int pid = ::getpid();
    int on = 1;
    if (::ioctl(source.file.get(), request, &pid) < 0) return errno;
    return code_of(::ioctl(source.file.get(), FIOASYNC, &on));
}
int ask_for_urgent(const Source& source) { return code_of(::fcntl(source.file.get(), F_SETOWN, ::getpid())); }
int ask_for_lease(const Source& source) {
    const int code = code_of(::fcntl(source.file.get(), F_SETLEASE, F_RDLCK));
    return code == EINVAL ? lacking(code) : code;
}
int ask_for_notice(const Source& source) {
    const int code = code_of(::fcntl(source.file.get(), F_NOTIFY, DN_MODIFY | DN_MULTISHOT));
    return code == EINVAL ? lacking(code) : code;
}

int write_to_other(const Source& source, const std::string&) {
    return ::write(source.other.get(), "x\n", 2) == 2 ? 0 : errno;
}
int send_urgent(const Source& source, const std::string&) {
    if (::send(source.other.get(), "x", 1, MSG_OOB) == 1) return 0;
    return errno == EOPNOTSUPP ? lacking(errno) : errno;
}
int open_for_writing(const Source&, const std::string& directory) {
    const UniqueFd fd(::open((directory + "/f").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return !fd && errno == EWOULDBLOCK ? 0 : ENOTRECOVERABLE;
}
int modify(const Source&, const std::string& directory) {
    const UniqueFd fd(::open((directory + "/f").c_str(), O_WRONLY | O_CLOEXEC));
    return ::write(fd.get(), "x", 1) == 1 ? 0 : errno;
}

constexpr Way kPipe{"pipe, F_SETOWN", open_pipe, ask_for_process, write_to_other};
const Way kWays[] = {
    kPipe,
    {"pipe, F_SETOWN of a group", open_pipe, ask_for_group, write_to_other},
    {"pipe, F_SETOWN_EX", open_pipe, ask_for_thread, write_to_other},
    {"socket, F_SETOWN", open_sockets, ask_for_process, write_to_other},
    {"socket, FIOSETOWN", open_sockets, [](const Source& s) { return ask_by_ioctl(s, FIOSETOWN); }, write_to_other},
    {"socket, SIOCSPGRP", open_sockets, [](const Source& s) { return ask_by_ioctl(s, SIOCSPGRP); }, write_to_other},
    {"socket, urgent data", open_sockets, ask_for_urgent, send_urgent},
    {"terminal, O_ASYNC", open_terminal, turn_on, write_to_other, kTerminalPatienceMsec},
    {"lease", open_file, ask_for_lease, open_for_writing},
    {"dnotify", open_directory, ask_for_notice, modify},
};

/// The kernel queues most signals before the call returns that caused them; a terminal has a thread for it.
bool was_signalled(const sigset_t& signals, int patience_msec) {
    const timespec patience{patience_msec / 1000, patience_msec % 1000 * 1000000L};
    return ::sigtimedwait(&signals, nullptr, &patience) > 0;
}

int be_signalled(const Way& way, const Source& source, const std::string& directory) {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGIO, SIGURG}) ::sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    if (!source.file) return lacking(errno);
    if (const int code = way.ask(source); code != 0) return code;
    if (const int code = way.cause(source, directory); code != 0) return code;
    return was_signalled(signals, way.patience_msec) ? 0 : EPERM;
}

/// The file was there before: it outlives the namespace, and may signal the next one that has the ids.
Attempt by_file_from_outside(Stage& stage, const Way& way, const Space& space, const As& as) {
    if (!stage.file("f", stage.start(), stage.start(), 0666)) return went_wrong("no file");
    const Source source = way.open(stage.dir());
    return tried(inside(space, as, [&] { return be_signalled(way, source, stage.dir()); }));
}

Attempt by_own_file(Stage& stage, const Way& way) {
    if (!stage.file("f", stage.start(), stage.start(), 0666)) return went_wrong("no file");
    return tried(stage.inside([&] {
        const Source source = way.open(stage.dir());
        return be_signalled(way, source, stage.dir());
    }));
}

/// A pipe that was opened in a namespace below is gone with that one, and so before the ids above it are free.
Attempt by_pipe_from_below(Stage& stage) {
    const Map map{{0, 0, 10}};
    auto below = unmanaged(map, map, &stage.managed());
    if (!below) return went_wrong(below.error().what());
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return went_wrong("no sockets");
    const UniqueFd sender(ends[0]), receiver(ends[1]);
    const int sent = inside(*below, {}, [&] {
        const Source source = open_pipe("");
        const int code = send_descriptor(sender.borrow(), source.file.borrow());
        return code != 0 ? code : send_descriptor(sender.borrow(), source.other.borrow());
    });
    const Source source{receive_descriptor(receiver.borrow()), receive_descriptor(receiver.borrow())};
    if (sent != 0) return went_wrong("no pipe");
    return tried(stage.inside({.uid = 20, .gid = 20}, [&] { return be_signalled(kPipe, source, ""); }));
}

}  // namespace

void add_signals(Table& table) {
    for (const auto& way : kWays) {
        table
            .channel(std::string("signal by a host's file: ") + way.name, Where::kOnce,
                     [&way](Stage& stage) { return by_file_from_outside(stage, way, stage.managed(), {}); })
            .by_answer();
        table.control(std::string("signal by an own file: ") + way.name, Where::kOnce,
                      [&way](Stage& stage) { return by_own_file(stage, way); });
    }
    table
        .channel("signal by a host's file: delegated id", Where::kOnce,
                 [](Stage& s) {
                     const uint32_t id = s.self().delegated;
                     return by_file_from_outside(s, kPipe, s.self(), {.uid = id, .gid = id});
                 })
        .by_answer();
    table.control("signal by a host's file: foreign ids", Where::kOnce, [](Stage& s) {
        return by_file_from_outside(s, kPipe, s.managed(), {.uid = kForeign, .gid = kForeign});
    });
    table.control("signal by a host's file: self namespace as its user", Where::kOnce,
                  [](Stage& s) { return by_file_from_outside(s, kPipe, s.self(), {}); });
    table.control("signal by a file from a namespace below", Where::kOnce, by_pipe_from_below);
}

}  // namespace nsr::channels
