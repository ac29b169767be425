// SPDX-License-Identifier: LGPL-2.1-or-later
#include "other_user.h"

#include "base/sys.h"
#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr uint64_t kPhaseUsec = 4'000'000;
constexpr uint64_t kCalmUsec = 30'000'000;
constexpr uint64_t kPromptNsec = 2'000'000;
constexpr size_t kPromptCalls = 20;

// Whatever the service does, there is at least one sample.
template <class Step>
void time_calls(size_t count, Samples& samples, size_t& failed, Step&& step) {
    uint64_t end = sys::now_usec() + kPhaseUsec;
    for (size_t i = 0; i < count && (i == 0 || sys::now_usec() < end); ++i) {
        if (samples.time([&] { return step(i); })) continue;
        ++failed;
        samples.add(kPatienceUsec / 1e6);
    }
}

}  // namespace

Result<Calls> measure_other_user(const Instance& instance, size_t lookups, size_t allocations) {
    Uid user = next_user();
    auto namespaces = TRY(make_user_namespaces(user, allocations));
    std::vector<std::string> requests(allocations);
    for (auto& request : requests) request = allocate_request();
    std::string memberships = memberships_request();
    Calls calls;
    ActAs as(user);
    time_calls(lookups, calls.lookups, calls.failed,
               [&](size_t) { return ask_any(instance.socket(), memberships, kPatienceUsec); });
    time_calls(allocations, calls.allocations, calls.failed, [&](size_t i) {
        return ask_once(instance.socket(), requests[i], namespaces[i].borrow(), kPatienceUsec);
    });
    return calls;
}

Status wait_until_calm(const Instance& instance) {
    std::string request = memberships_request();
    size_t prompt = 0;
    for (uint64_t end = sys::now_usec() + kCalmUsec; sys::now_usec() < end;) {
        uint64_t begin = now_nsec();
        bool answered = ask_any(instance.socket(), request, kPatienceUsec).has_value();
        prompt = answered && now_nsec() - begin < kPromptNsec ? prompt + 1 : 0;
        if (prompt == kPromptCalls) return {};
    }
    return fail(ETIMEDOUT, "the service did not recover");
}

}  // namespace nsr::bench
