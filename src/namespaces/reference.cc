// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/reference.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "namespaces/block_signals.h"
#include "namespaces/user_namespace.h"

namespace nsr::namespaces {

namespace {

constexpr size_t kStackSize = 16384;

struct Task {
    const char* keeper;
    int fd = -1;
    int error = 0;
};

// In the new namespaces, with the memory and the descriptors of the parent, which is stopped meanwhile (CLONE_VFORK).
__attribute__((no_sanitize("address", "undefined"))) int child(void* argument) {
    auto* task = static_cast<Task*>(argument);
    long fd = syscall(SYS_openat, AT_FDCWD, task->keeper, O_RDONLY | O_CLOEXEC);
    task->fd = static_cast<int>(fd);
    if (fd < 0) task->error = errno;
    syscall(SYS_exit_group, 0);
    return 0;
}

// A descriptor of one namespace of a process that is gone again.
Result<UniqueFd> make(int new_namespaces, const char* keeper) {
    BlockSignals blocked;
    alignas(16) char stack[kStackSize];
    Task task{keeper};
    pid_t pid =
        clone(child, stack + kStackSize, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD | new_namespaces, &task);
    int code = errno;
    if (pid < 0) return fail_errno(code, "clone");
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (task.fd < 0) return fail_errno(task.error, keeper);
    return UniqueFd(task.fd);
}

Result<UniqueFd> make_keeper() {
    auto keeper = make(CLONE_NEWUSER | CLONE_NEWUTS, "/proc/self/ns/uts");
    // Where no UTS namespace may be made (RestrictNamespaces= of systemd.exec(5)), the namespace's own descriptor does.
    if (!keeper && keeper.error().code() == EPERM) return make(CLONE_NEWUSER, "/proc/self/ns/user");
    return keeper;
}

}  // namespace

Result<Reference> Reference::create() {
    UniqueFd keeper = TRY(make_keeper());
    bool is_itself = ioctl(keeper.get(), NS_GET_NSTYPE) == CLONE_NEWUSER;
    UniqueFd fd(is_itself ? fcntl(keeper.get(), F_DUPFD_CLOEXEC, 0) : ioctl(keeper.get(), NS_GET_USERNS));
    int code = errno;
    if (!fd) return fail_errno(code, "owner of a UTS namespace");
    auto userns = TRY(UserNamespace::from_descriptor(std::move(fd)));
    return Reference(std::move(keeper), userns.identity());
}

}  // namespace nsr::namespaces
