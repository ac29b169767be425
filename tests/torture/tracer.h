// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "fault.h"

struct __ptrace_syscall_info;

namespace nsr::injector {

/// Follows the processes of one instance with ptrace(2) through each of their system calls, and carries out one fault
/// at a time. Says on standard output what happens, a line each.
class Tracer {
public:
    /// `from_exec`: what it does before its next execve(2) is not the service's.
    bool attach(pid_t pid, Role role, bool from_exec);
    /// Lets all go that attach() has stopped.
    void run();
    /// Counts anew from here.
    void arm(const Fault& fault);
    /// Tells what was counted since arm(); processes that were held go on.
    void disarm();
    /// Takes all that has happened.
    void poll();
    bool empty() const { return processes_.empty(); }

private:
    struct Process {
        Role role = Role::kWorker;
        bool counts = true;
        bool held = false;
        bool kill_at_return = false;
        int error = 0;
    };

    void ended(pid_t pid, int status);
    void stopped(pid_t pid, int status);
    void event(pid_t pid, int number);
    void adopt(pid_t child, Role parent);
    void at_call(pid_t pid, Process& process);
    void before(pid_t pid, Process& process, const __ptrace_syscall_info& info);
    bool counts(const Process& process, uint64_t call);
    void hit(pid_t pid, Process& process, uint64_t call);
    void act(pid_t pid, Process& process, uint64_t call);
    void fail(pid_t pid, Process& process);
    void go(pid_t pid, int signal = 0);
    void note(pid_t pid, const Process& process, const __ptrace_syscall_info& info);

    std::map<pid_t, Process> processes_;
    /// Children that stopped before their parent's stop told of them.
    std::set<pid_t> early_;
    std::optional<Fault> fault_;
    uint64_t seen_ = 0;
    uint64_t later_ = 0;
    bool has_hit_ = false;
    std::optional<uint64_t> sticky_;
    std::string trace_;
};

}  // namespace nsr::injector
