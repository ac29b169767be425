// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/sys.h"

namespace nsr::authority {

/// Runs a program that goes down with this one; a descriptor that it may write to is its number 3.
inline pid_t start_program(const std::vector<std::string>& words, BorrowedFd three = {}) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (three) dup2(three.get(), 3);
    execv(argv[0], argv.data());
    _exit(127);
}

inline void stop_program(pid_t pid) {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

/// A real dbus-daemon on a socket of its own, which is the system bus for this program as long as it is there.
class PrivateBus {
public:
    static constexpr const char* kProgram = "/usr/bin/dbus-daemon";
    static bool is_possible() { return access(kProgram, X_OK) == 0; }

    /// Services that the bus may start have their files in services().
    PrivateBus() {
        // Open to everybody: polkitd, which is not root, must reach the socket in it.
        char pattern[] = "/tmp/nsr-authority-XXXXXX";
        if (!mkdtemp(pattern) || chmod(pattern, 0755) < 0) abort();
        path_ = pattern;
        std::filesystem::create_directory(services());
        std::ofstream(path_ + "/bus.conf")
            << "<busconfig><type>nsresourced-test</type><listen>unix:path=" << socket()
            << "</listen><auth>EXTERNAL</auth><servicedir>" << services()
            << "</servicedir><policy context='default'><allow user='*'/><allow own='*'/>"
               "<allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>";
        setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + socket()).c_str(), 1);
        start();
    }
    ~PrivateBus() {
        stop();
        unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
        std::filesystem::remove_all(path_);
    }
    PrivateBus(const PrivateBus&) = delete;
    PrivateBus& operator=(const PrivateBus&) = delete;

    std::string services() const { return path_ + "/services"; }
    std::string socket() const { return path_ + "/bus"; }
    pid_t pid() const { return pid_; }

    void start() {
        int pipe[2];
        if (pipe2(pipe, O_CLOEXEC) < 0) abort();
        UniqueFd ours(pipe[0]), theirs(pipe[1]);
        pid_ = start_program({kProgram, "--config-file=" + path_ + "/bus.conf", "--nofork", "--nopidfile", "--nosyslog",
                              "--print-address=3"},
                             theirs.borrow());
        theirs.reset();
        char byte = 0;  // the address is printed when the bus takes connections
        if (read(ours.get(), &byte, 1) != 1) abort();
    }
    /// Its socket stays, as that of a bus that was killed does.
    void stop() { stop_program(std::exchange(pid_, -1)); }

private:
    std::string path_;
    pid_t pid_ = -1;
};

}  // namespace nsr::authority
