// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/child.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <csignal>

#include "base/sys.h"

namespace nsr::policy {

namespace {

constexpr uint64_t kTimeoutUsec = 60'000'000;
/// For one that was killed: it may hang in the kernel, and is left there.
constexpr uint64_t kReapUsec = 5'000'000;
constexpr size_t kMaxAnswer = 4096;

// The answer is the error's number, 0 for none, and then its text or the lines.
std::string to_text(const Result<std::vector<std::string>>& outcome) {
    if (!outcome) return fmt::format("{}\n{}", outcome.error().code(), outcome.error().what());
    std::string text = "0";
    for (const auto& line : *outcome) text += "\n" + line;
    return text;
}

std::vector<std::string> split_lines(std::string_view text) {
    std::vector<std::string> lines;
    for (size_t begin = 0, end = 0; end != text.npos; begin = end + 1) {
        end = text.find('\n', begin);
        lines.emplace_back(text.substr(begin, end == text.npos ? end : end - begin));
    }
    return lines;
}

Result<std::vector<std::string>> from_text(std::string_view text) {
    auto lines = split_lines(text);
    int code = 0;
    auto parsed = std::from_chars(lines.front().data(), lines.front().data() + lines.front().size(), code);
    if (parsed.ec != std::errc()) return fail(ECANCELED, "a child process died");
    lines.erase(lines.begin());
    if (code != 0) return Failure(Error(code, lines.empty() ? "" : lines.front()));
    return lines;
}

Result<std::string> read_until_closed(BorrowedFd pipe) {
    std::string text;
    for (uint64_t deadline = sys::now_usec() + kTimeoutUsec;;) {
        uint64_t now = sys::now_usec();
        struct pollfd poll{pipe.get(), POLLIN, 0};
        if (now >= deadline || TRY(sys::poll({&poll, 1}, deadline - now)) == 0)
            return fail(ETIMEDOUT, "a child process takes too long");
        char buffer[512];
        ssize_t length = read(pipe.get(), buffer, sizeof buffer);
        int code = errno;
        if (length < 0) return fail_errno(code, "read from child process");
        if (length == 0) return text;
        text.append(buffer, static_cast<size_t>(length));
        if (text.size() > kMaxAnswer) return fail(EFBIG, "a child process says too much");
    }
}

void reap(pid_t pid) {
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    struct pollfd poll{pidfd.get(), POLLIN, 0};
    if (pidfd) static_cast<void>(sys::poll({&poll, 1}, kReapUsec));
    waitpid(pid, nullptr, WNOHANG);
}

}  // namespace

void close_all_but(std::vector<int> kept) {
    std::ranges::sort(kept);
    unsigned first = STDERR_FILENO + 1;
    for (int fd : kept) {
        auto number = static_cast<unsigned>(fd);
        if (number > first) close_range(first, number - 1, 0);
        first = std::max(first, number + 1);
    }
    close_range(first, ~0U, 0);
}

void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    reap(pid);
}

Result<std::vector<std::string>> in_child(const std::function<Result<std::vector<std::string>>()>& task) {
    auto pipe = TRY(sys::socket_pair(SOCK_STREAM));
    pid_t pid = fork();
    int code = errno;
    if (pid < 0) return fail_errno(code, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close_all_but({pipe.second.get()});
        // The parent may have died before.
        struct pollfd gone{pipe.second.get(), 0, 0};
        if (poll(&gone, 1, 0) != 0) _exit(EXIT_FAILURE);
        Status written = sys::write_all(pipe.second.borrow(), to_text(task()));
        _exit(written ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    pipe.second.reset();
    auto text = read_until_closed(pipe.first.borrow());
    // It has said all there is to say.
    end_child(pid);
    return from_text(TRY(std::move(text)));
}

}  // namespace nsr::policy
