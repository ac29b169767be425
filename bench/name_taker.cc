// SPDX-License-Identifier: LGPL-2.1-or-later
#include "name_taker.h"

#include <fcntl.h>
#include <unistd.h>
#include <csignal>

#include "base/sys.h"
#include "connection.h"
#include "kernel_work.h"
#include "other_user.h"
#include "requests.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr useconds_t kAgainUsec = 500;
constexpr size_t kMaxResults = 1 << 20;

// Until a call gets the name. The kernel itself may need a moment until a namespace is dead, so NameExists is asked
// again.
Status take(const std::string& socket, const std::string& request, BorrowedFd userns) {
    uint64_t end = sys::now_usec() + kPatienceUsec;
    for (;; usleep(kAgainUsec)) {
        auto taken = ask_once(socket, request, userns, kPatienceUsec);
        if (taken || sys::now_usec() > end) return taken;
        if (taken.error().what().find("NameExists") == std::string::npos) return taken;
    }
}

// Writes the seconds that each took. What failed counts like what took longest.
Status take_again_and_again(const std::string& socket, Uid user, BorrowedFd results) {
    const std::string request = namespace_call("AllocateUserRange", R"("name":"again","size":65536)");
    UniqueFd holder;
    for (;;) {
        auto namespaces = TRY(make_user_namespaces(user, 1));
        ActAs as(user);
        bool is_first = !holder;
        uint64_t begin = now_nsec();
        holder.reset();
        bool taken = take(socket, request, namespaces.front().borrow()).has_value();
        double seconds = taken ? static_cast<double>(now_nsec() - begin) / 1e9 : kPatienceUsec / 1e6;
        holder = std::move(namespaces.front());
        if (!is_first) TRY(sys::write_all(results, fmt::format("{}\n", seconds)));
    }
}

}  // namespace

Result<NameTaker> NameTaker::start(const Instance& instance) {
    int ends[2];
    int code = pipe2(ends, O_CLOEXEC) < 0 ? errno : 0;
    if (code != 0) return fail_errno(code, "pipe");
    UniqueFd from(ends[0]), to(ends[1]);
    Uid user = next_user();
    auto child = TRY(Child::run([&] {
        static_cast<void>(take_again_and_again(instance.socket(), user, to.borrow()));
        return EXIT_FAILURE;
    }));
    return NameTaker(std::move(child), std::move(from));
}

Result<Samples> NameTaker::stop() {
    kill(child_.pid(), SIGKILL);
    static_cast<void>(child_.wait());
    std::string text = TRY(sys::read_all(results_.borrow(), kMaxResults));
    Samples samples;
    for (size_t at = 0, end = 0; (end = text.find('\n', at)) != text.npos; at = end + 1)
        samples.add(std::stod(text.substr(at, end - at)));
    return samples;
}

}  // namespace nsr::bench
