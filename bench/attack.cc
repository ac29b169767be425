// SPDX-License-Identifier: LGPL-2.1-or-later
#include "attack.h"

#include <fcntl.h>
#include <unistd.h>
#include <array>
#include <csignal>

#include "base/sys.h"

namespace nsr::bench {

namespace {

/// No attack goes on for longer, whatever becomes of the bench.
constexpr unsigned kLongestSeconds = 60;
/// An attacker may be its own victim while it makes its connections.
constexpr uint64_t kReadyUsec = 5'000'000;
/// For queues to fill.
constexpr useconds_t kSettleUsec = 500'000;

int run(const Attack& attack, const Target& target) {
    alarm(kLongestSeconds);
    // As on a host, where the processes of a user are of other sessions than the service: among these the scheduler
    // divides the time first (sched(7), autogroup).
    setsid();
    signal(SIGPIPE, SIG_IGN);
    attack.act(target);
    return EXIT_FAILURE;
}

}  // namespace

Result<Attackers> Attackers::start(const Attack& attack, const std::string& socket, const RangeHolder& attacker) {
    std::array<int, 2> ends{};
    int code = pipe2(ends.data(), O_CLOEXEC) < 0 ? errno : 0;
    if (code != 0) return fail_errno(code, "pipe");
    UniqueFd reports(ends[0]), ready(ends[1]);
    Attackers attackers;
    for (size_t number = 0; number < attack.processes; ++number)
        attackers.processes_.push_back(
            TRY(Child::run([&] { return run(attack, {socket, attacker, number, ready.borrow()}); })));
    ready.reset();
    uint64_t deadline = sys::now_usec() + kReadyUsec;
    for (size_t count = 0; count < attack.processes;) {
        struct pollfd poll{reports.get(), POLLIN, 0};
        uint64_t now = sys::now_usec();
        if (now >= deadline || TRY(sys::poll({&poll, 1}, deadline - now)) == 0) break;
        std::array<char, 64> bytes;
        ssize_t n = read(reports.get(), bytes.data(), bytes.size());
        if (n <= 0) return fail(EIO, "attackers ended at once");
        count += static_cast<size_t>(n);
    }
    usleep(kSettleUsec);
    return attackers;
}

void report_ready(const Target& target) { static_cast<void>(sys::write_all(target.ready, "r")); }

}  // namespace nsr::bench
