// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/child.h"

#include <unistd.h>
#include <cstdlib>

#include "base/forked_child.h"
#include "base/sys.h"

namespace nsr::policy {

namespace {

constexpr uint64_t kTimeoutUsec = 60'000'000;
constexpr size_t kMaxAnswer = 4096;

/// The first line of an answer, without which it is none.
constexpr std::string_view kAnswered = "done";

std::vector<std::string> split_lines(std::string_view text) {
    std::vector<std::string> lines;
    for (size_t begin = 0, end = 0; end != text.npos; begin = end + 1) {
        end = text.find('\n', begin);
        lines.emplace_back(text.substr(begin, end == text.npos ? end : end - begin));
    }
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

}  // namespace

Result<std::vector<std::string>> in_child(const std::function<Result<std::vector<std::string>>()>& task) {
    auto pipe = TRY(sys::socket_pair(SOCK_STREAM));
    auto answer = [&]() -> Result<int> {
        const auto lines = TRY(task());
        std::string text(kAnswered);
        for (const auto& line : lines) text += "\n" + line;
        TRY(sys::write_all(pipe.second.borrow(), text));
        return EXIT_SUCCESS;
    };
    // Nothing of its parent's is kept, locks least of all: it might hang in the kernel.
    const auto child = TRY(ForkedChild::start(std::vector{pipe.second.get()}, answer));
    pipe.second.reset();
    const auto text = TRY(read_until_closed(pipe.first.borrow()));
    // It has said all there is to say, and is not waited for where it hangs all the same.
    TRY(child.failure());
    auto lines = split_lines(text);
    if (lines.front() != kAnswered) return fail(ECANCELED, "a child process died");
    lines.erase(lines.begin());
    return lines;
}

}  // namespace nsr::policy
