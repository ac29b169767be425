// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::namespaces {

/// A process that lives only to step into somebody else's user namespace. It shares the memory of its parent, so that
/// making one costs no copy of page tables, and ends at once; what remains until reap() is a zombie, whose /proc/<pid>
/// files still name the namespace that it was in, and that nobody can trace, stop or change any more.
class ThrowAway {
public:
    struct Task {
        BorrowedFd join;                    ///< user namespace to enter with setns(2)
        const char* const* open = nullptr;  ///< then files to open for reading and writing, up to a null pointer …
        int* opened = nullptr;  ///< … into these places: descriptors of the calling process; -1 after an error
    };

    /// Runs the task to its end. Errors: what setns(2) or open(2) say; ECANCELED if the process was killed or stopped
    /// by somebody (a process inside may have CAP_KILL over it) or took longer than two seconds. The caller must not be
    /// dumpable (prctl(2)): else a process inside could trace it while it is there.
    static Result<ThrowAway> run(const Task& task);

    ThrowAway(ThrowAway&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
    ThrowAway& operator=(ThrowAway&&) = delete;
    ~ThrowAway() { reap(); }

    pid_t pid() const { return pid_; }
    /// Removes the zombie, which holds the namespace.
    void reap();

private:
    ThrowAway(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    Status wait() const;

    pid_t pid_;
    UniqueFd pidfd_;
};

}  // namespace nsr::namespaces
