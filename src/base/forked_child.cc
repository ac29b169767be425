// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/forked_child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/sys.h"

namespace nsr {

namespace {

/// For one that was killed: it may hang in the kernel.
constexpr uint64_t kReapUsec = 5'000'000;
/// Of a report, which is the errno value and the sentence. The pipe takes it at once (PIPE_BUF).
constexpr size_t kMaxReport = 2048;

Status settle(const std::optional<std::vector<int>>& kept, BorrowedFd report) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return fail_errno(errno, "wish to end with the parent");
    // The parent may have died before. Asked of the pipe, since in another process namespace it has no number.
    struct pollfd gone{report.get(), 0, 0};
    if (::poll(&gone, 1, 0) != 0) return fail(ESRCH, "the parent is gone");
    return kept ? close_all_but(*kept, STDERR_FILENO + 1) : Status();
}

Result<int> run(const std::optional<std::vector<int>>& kept, BorrowedFd report, const ForkedChild::Body& body) {
    TRY(settle(kept, report));
    return body();
}

[[noreturn]] void live(const std::optional<std::vector<int>>& kept, BorrowedFd report, const ForkedChild::Body& body) {
    Result<int> status = run(kept, report, body);
    if (status) _exit(*status);
    int code = status.error().code();
    std::string text(reinterpret_cast<const char*>(&code), sizeof code);
    text += status.error().what();
    static_cast<void>(sys::write_all(report, std::string_view(text).substr(0, kMaxReport)));
    _exit(EXIT_FAILURE);
}

}  // namespace

Status close_all_but(std::span<const int> kept, unsigned first) {
    for (int fd : kept) {
        auto number = static_cast<unsigned>(fd);
        if (number > first && close_range(first, number - 1, 0) < 0) return fail_errno(errno, "close_range");
        first = std::max(first, number + 1);
    }
    return close_range(first, ~0U, 0) < 0 ? fail_errno(errno, "close_range") : Status();
}

Result<ForkedChild> ForkedChild::start(std::optional<std::vector<int>> kept, const Body& body) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return fail_errno(errno, "pipe2");
    UniqueFd reading(ends[0]), writing(ends[1]);
    if (kept) {
        kept->push_back(writing.get());
        std::ranges::sort(*kept);
    }
    pid_t pid = fork();
    int code = errno;
    if (pid < 0) return fail_errno(code, "fork");
    if (pid == 0) {
        reading.reset();
        live(kept, writing.borrow(), body);
    }
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    code = errno;
    ForkedChild child(pid, std::move(pidfd), std::move(reading));  // from here on it is killed and reaped
    if (!child.pidfd_) return fail_errno(code, "pidfd_open");
    return child;
}

ForkedChild::~ForkedChild() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    struct pollfd ended{pidfd_.get(), POLLIN, 0};
    if (pidfd_) static_cast<void>(sys::poll({&ended, 1}, kReapUsec));
    waitpid(pid_, nullptr, WNOHANG);
}

Result<int> ForkedChild::wait(uint64_t deadline_usec) {
    struct pollfd ended{pidfd_.get(), POLLIN, 0};
    uint64_t now = sys::now_usec();
    size_t ready = TRY(sys::poll({&ended, 1}, deadline_usec > now ? deadline_usec - now : 0));
    if (ready == 0) return fail(ETIMEDOUT, "no answer in time");
    int status = 0;
    pid_t reaped = waitpid(pid_, &status, 0);
    int code = errno;
    if (reaped < 0) return fail_errno(code, "waitpid");
    pid_ = 0;
    TRY(failure());
    if (!WIFEXITED(status)) return fail(ECANCELED, "killed by signal {}", WTERMSIG(status));
    return WEXITSTATUS(status);
}

Status ForkedChild::failure() const {
    std::array<char, kMaxReport> report;
    ssize_t size = read(report_.get(), report.data(), report.size());
    int code = 0;
    if (size < static_cast<ssize_t>(sizeof code)) return {};
    std::memcpy(&code, report.data(), sizeof code);
    std::string what(report.data() + sizeof code, static_cast<size_t>(size) - sizeof code);
    return Failure(Error(code > 0 ? code : ECANCELED, std::move(what)));
}

void ForkedChild::abandon() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, WNOHANG);
    pid_ = 0;
}

}  // namespace nsr
