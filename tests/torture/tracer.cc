// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tracer.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>

#include "registers.h"

namespace nsr::injector {
namespace {

constexpr int kSystemCallStop = SIGTRAP | 0x80;
constexpr size_t kLongestTrace = 1U << 20;

void* as_data(unsigned long value) { return reinterpret_cast<void*>(value); }

/// What a call may fail with can depend on more than its name: on its second argument, or on what its descriptor is.
std::string detail(pid_t pid, const __ptrace_syscall_info& info) {
    const uint64_t call = info.entry.nr;
    if (call == SYS_ioctl || call == SYS_fcntl) return ':' + std::to_string(info.entry.args[1] & 0xffffffffU);
    if (call != SYS_read && call != SYS_write && call != SYS_writev) return {};
    const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(info.entry.args[0]);
    char target[256];
    const ssize_t length = readlink(path.c_str(), target, sizeof target);
    return length > 0 && target[0] != '/' ? ":0" : "";
}

}  // namespace

bool Tracer::attach(pid_t pid, Role role, bool from_exec) {
    constexpr unsigned long kOptions =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, pid, nullptr, as_data(kOptions)) != 0) return false;
    if (ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) return false;
    int status = 0;
    if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return false;
    processes_[pid] = {.role = role, .counts = !from_exec, .held = false, .kill_at_return = false, .error = 0};
    return true;
}

void Tracer::run() {
    for (const auto& [pid, process] : processes_) {
        kill(pid, SIGCONT);
        go(pid);
    }
}

void Tracer::arm(const Fault& fault) {
    fault_ = fault;
    seen_ = later_ = 0;
    has_hit_ = false;
    sticky_.reset();
    trace_.clear();
}

void Tracer::disarm() {
    fault_.reset();
    sticky_.reset();
    printf("trace %lu%s\n", seen_, trace_.c_str());
    for (auto& [pid, process] : processes_) {
        process.kill_at_return = false;
        if (!process.held) continue;
        process.held = false;
        go(pid);
    }
}

void Tracer::poll() {
    int status = 0;
    while (true) {
        const pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
        if (pid <= 0) return;
        if (WIFSTOPPED(status))
            stopped(pid, status);
        else
            ended(pid, status);
    }
}

void Tracer::ended(pid_t pid, int status) {
    if (processes_.erase(pid) == 0) return;
    printf("gone %d %d\n", pid, status);
    // It may have been killed before it could tell of its last child.
    for (const pid_t child : std::set<pid_t>(early_)) adopt(child, Role::kManager);
}

void Tracer::stopped(pid_t pid, int status) {
    const int number = status >> 8 & 0xff;
    const auto found = processes_.find(pid);
    if (found == processes_.end()) {
        early_.insert(pid);
        return;
    }
    if (number == kSystemCallStop) return at_call(pid, found->second);
    if (status >> 16 == PTRACE_EVENT_STOP) {
        // A stop of the whole process stays one; the first stop of a new one, and that of PTRACE_INTERRUPT, do not.
        if (number == SIGSTOP || number == SIGTSTP)
            ptrace(PTRACE_LISTEN, pid, nullptr, nullptr);
        else
            go(pid);
        return;
    }
    if (status >> 16 != 0) return event(pid, status >> 16);
    go(pid, number);
}

void Tracer::event(pid_t pid, int number) {
    Process& process = processes_[pid];
    unsigned long message = 0;
    if (number == PTRACE_EVENT_EXEC) process.counts = true;
    if ((number == PTRACE_EVENT_FORK || number == PTRACE_EVENT_VFORK || number == PTRACE_EVENT_CLONE) &&
        ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &message) == 0)
        adopt(static_cast<pid_t>(message), process.role);
    go(pid);
}

void Tracer::adopt(pid_t child, Role parent) {
    processes_[child] = {.role = parent == Role::kManager ? Role::kWorker : Role::kHelper,
                         .counts = true,
                         .held = false,
                         .kill_at_return = false,
                         .error = 0};
    if (early_.erase(child) != 0) go(child);
}

void Tracer::at_call(pid_t pid, Process& process) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, as_data(sizeof info), &info) <= 0) return go(pid);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        before(pid, process, info);
        if (process.held) return;
    } else if (process.error != 0) {
        set_error(pid, process.error);
        process.error = 0;
    } else if (process.kill_at_return) {
        kill(pid, SIGKILL);
    }
    go(pid);
}

bool Tracer::counts(const Process& process, uint64_t call) {
    return process.role == fault_->role && process.counts && (!fault_->call || *fault_->call == call);
}

void Tracer::before(pid_t pid, Process& process, const __ptrace_syscall_info& info) {
    if (!fault_) return;
    const uint64_t call = info.entry.nr;
    note(pid, process, info);
    if (has_hit_) {
        if (sticky_ == call && counts(process, call)) return fail(pid, process);
        if (fault_->kill_later != 0 && process.role != Role::kManager && ++later_ == fault_->kill_later) {
            printf("again %d %lu %s\n", pid, call, name_of(process.role));
            kill(pid, SIGKILL);
        }
        return;
    }
    if (counts(process, call) && ++seen_ == fault_->nth) hit(pid, process, call);
}

void Tracer::hit(pid_t pid, Process& process, uint64_t call) {
    has_hit_ = true;
    printf("hit %d %lu %s\n", pid, call, name_of(process.role));
    act(pid, process, call);
}

void Tracer::act(pid_t pid, Process& process, uint64_t call) {
    switch (fault_->action) {
        case Action::kNone:
            break;
        case Action::kKill:
            kill(pid, SIGKILL);
            break;
        case Action::kKillAtReturn:
            process.kill_at_return = true;
            break;
        case Action::kHold:
            process.held = true;
            break;
        case Action::kSticky:
            sticky_ = call;
            [[fallthrough]];
        case Action::kError:
            fail(pid, process);
            break;
    }
}

void Tracer::fail(pid_t pid, Process& process) {
    skip_call(pid);
    process.error = fault_->error;
}

void Tracer::go(pid_t pid, int signal) {
    // It may have been killed meanwhile; that is told by waitpid(2).
    ptrace(PTRACE_SYSCALL, pid, nullptr, as_data(static_cast<unsigned long>(signal)));
}

void Tracer::note(pid_t pid, const Process& process, const __ptrace_syscall_info& info) {
    if (!process.counts || trace_.size() > kLongestTrace) return;
    trace_ += ' ';
    trace_ += *name_of(process.role);
    trace_ += std::to_string(info.entry.nr) + detail(pid, info);
}

}  // namespace nsr::injector
