// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>
#include <climits>
#include <csignal>

namespace nsr::manager {

namespace {

/// Above every number that a descriptor gets in the new process, so that no dup2(2) runs over another one's source.
constexpr int kAboveTargets = 32;

class FileActions {
public:
    FileActions() { posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    Status move(BorrowedFd fd, int target) {
        UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, kAboveTargets));
        int code = errno;
        if (!copy) return fail_errno(code, "duplicate descriptor");
        posix_spawn_file_actions_adddup2(&actions_, copy.get(), target);
        copies_.push_back(std::move(copy));
        return {};
    }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
    std::vector<UniqueFd> copies_;
};

class Attributes {
public:
    Attributes() {
        posix_spawnattr_init(&attributes_);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~Attributes() { posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

}  // namespace

Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& arguments,
                    std::span<const std::pair<BorrowedFd, int>> fds) {
    FileActions actions;
    for (const auto& [fd, target] : fds) TRY(actions.move(fd, target));
    Attributes attributes;
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_t pid = 0;
    int code = posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), argv.data(), environ);
    if (code != 0) return fail_errno(code, "start " + program);
    return pid;
}

Result<std::string> find_worker_program() {
    constexpr char kName[] = "/nsresourcework";
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    int code = errno;
    if (n < 0) return fail_errno(code, "own program");
    std::string beside(self, static_cast<size_t>(n));
    beside = beside.substr(0, beside.rfind('/')) + kName;
    if (access(beside.c_str(), X_OK) == 0) return beside;
    std::string installed = std::string(NSR_LIBEXEC_DIR) + kName;
    if (access(installed.c_str(), X_OK) == 0) return installed;
    return fail(ENOENT, "nsresourcework is neither {} nor {}", beside, installed);
}

}  // namespace nsr::manager
