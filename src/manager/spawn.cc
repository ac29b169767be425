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

// posix_spawn(3) and its kin give the errno value.
Status done(int code, std::string_view what) {
    if (code != 0) return fail_errno(code, what);
    return {};
}

class FileActions {
public:
    FileActions() : code_(posix_spawn_file_actions_init(&actions_)) {}
    ~FileActions() {
        if (code_ == 0) posix_spawn_file_actions_destroy(&actions_);
    }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    Status move(BorrowedFd fd, int target) {
        TRY(done(code_, "posix_spawn_file_actions_init"));
        UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, kAboveTargets));
        int code = errno;
        if (!copy) return fail_errno(code, "duplicate descriptor");
        TRY(done(posix_spawn_file_actions_adddup2(&actions_, copy.get(), target), "posix_spawn_file_actions_adddup2"));
        copies_.push_back(std::move(copy));
        return {};
    }
    /// Null where there is nothing to do.
    const posix_spawn_file_actions_t* get() const { return copies_.empty() ? nullptr : &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
    int code_;
    std::vector<UniqueFd> copies_;
};

class Attributes {
public:
    Attributes() : code_(posix_spawnattr_init(&attributes_)) {}
    ~Attributes() {
        if (code_ == 0) posix_spawnattr_destroy(&attributes_);
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;

    Status reset_signals() {
        TRY(done(code_, "posix_spawnattr_init"));
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        TRY(done(posix_spawnattr_setsigmask(&attributes_, &none), "posix_spawnattr_setsigmask"));
        TRY(done(posix_spawnattr_setsigdefault(&attributes_, &all), "posix_spawnattr_setsigdefault"));
        return done(posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
                    "posix_spawnattr_setflags");
    }
    const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
    int code_;
};

}  // namespace

Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& arguments,
                    std::span<const std::pair<BorrowedFd, int>> fds) {
    FileActions actions;
    for (const auto& [fd, target] : fds) TRY(actions.move(fd, target));
    Attributes attributes;
    TRY(attributes.reset_signals());
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_t pid = 0;
    TRY(done(posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), argv.data(), environ),
             "start " + program));
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
