// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/apart.h"

#include <fcntl.h>
#include <unistd.h>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/forked_child.h"
#include "base/sys.h"

namespace nsr::reclaim {

namespace {

constexpr uint64_t kSayUsec = 100'000;
constexpr uint64_t kHeardUsec = 200'000;
constexpr uint64_t kAskClockEvery = 64;
constexpr size_t kMaxLine = 64 * 1024;

enum class State { kWorking, kFinished };

// "T 123": so many inodes. "E 123": that was all. The rest are findings.
Result<State> take_line(std::string_view line, Apart& apart) {
    if (!line.starts_with("T ") && !line.starts_with("E ")) {
        TRY(apart.findings.add_line(line));
        return State::kWorking;
    }
    auto [end, error] = std::from_chars(line.data() + 2, line.data() + line.size(), apart.inodes);
    if (error != std::errc{} || end != line.data() + line.size()) return fail(EBADMSG, "a report without a number");
    return line[0] == 'E' ? State::kFinished : State::kWorking;
}

Result<State> take_lines(std::string& text, Apart& apart) {
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
        if (TRY(take_line(std::string_view(text).substr(begin, end - begin), apart)) == State::kFinished)
            return State::kFinished;
    text.erase(0, begin);
    if (text.size() > kMaxLine) return fail(EBADMSG, "a report without an end");
    return State::kWorking;
}

Status listen(BorrowedFd pipe, uint64_t silence_usec, Apart& apart, const std::function<void(uint64_t)>& heard) {
    std::string text;
    std::array<char, 16384> buffer;
    uint64_t last_usec = sys::now_usec();
    for (;;) {
        struct pollfd wait{pipe.get(), POLLIN, 0};
        size_t ready = TRY(sys::poll({&wait, 1}, kHeardUsec));
        heard(apart.inodes);
        if (ready == 0) {
            if (sys::now_usec() - last_usec > silence_usec) return fail(ETIMEDOUT, "no answer");
            continue;
        }
        last_usec = sys::now_usec();
        ssize_t size = ::read(pipe.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, "read");
        if (size == 0) return fail(EPIPE, "looking ended before its time");
        text.append(buffer.data(), static_cast<size_t>(size));
        if (TRY(take_lines(text, apart)) == State::kFinished) return {};
    }
}

}  // namespace

void Reporter::tick() {
    if (++inodes_ % kAskClockEvery == 0 && sys::now_usec() - said_usec_ > kSayUsec) say();
}

void Reporter::say() {
    said_usec_ = sys::now_usec();
    if (!sys::write_all(pipe_, fmt::format("T {}\n", inodes_))) ::_exit(1);
}

Status Reporter::finish(const Findings& findings) {
    return sys::write_all(pipe_, findings.to_lines() + fmt::format("E {}\n", inodes_));
}

Apart run_apart(const std::string& what, uint64_t silence_usec, const std::function<void(Findings&, Reporter&)>& work,
                const std::function<void(uint64_t inodes)>& heard) {
    Apart apart;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return apart.findings.add_problem(what + ": no pipe"), apart;
    UniqueFd reading(ends[0]), writing(ends[1]);
    // Whoever interrupts the tool ends this process, too.
    auto child = ForkedChild::start(std::nullopt, [&]() -> Result<int> {
        Findings findings;
        Reporter reporter(writing.borrow());
        work(findings, reporter);
        TRY(reporter.finish(findings));
        return EXIT_SUCCESS;
    });
    if (!child) return apart.findings.add_problem(what + ": no process"), apart;
    writing.reset();
    Status heard_all = listen(reading.borrow(), silence_usec, apart, heard);
    if (heard_all) return apart;
    apart.findings.add_problem(fmt::format("{}: {}", what, heard_all.error().what()));
    // Held in the kernel it does not even die by that, and nobody waits for it.
    child->abandon();
    return apart;
}

}  // namespace nsr::reclaim
