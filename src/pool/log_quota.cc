// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/log_quota.h"

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <limits>
#include <optional>

#include "base/allocate.h"
#include "base/sys.h"

namespace nsr::pool {

namespace {

using log::Verdict;

constexpr uint64_t kMinuteUsec = 60'000'000;
/// A user whose account is not among so many places has none.
constexpr size_t kProbes = 16;
constexpr unsigned kUserShift = 32;
constexpr uint32_t kMostLines = std::numeric_limits<uint32_t>::max();

// Never 0, since no account has 0 lines.
constexpr uint64_t pack(Uid user, uint32_t lines) { return uint64_t{user.value} << kUserShift | lines; }
constexpr Uid user_in(uint64_t word) { return Uid(static_cast<uint32_t>(word >> kUserShift)); }
constexpr uint32_t lines_in(uint64_t word) { return static_cast<uint32_t>(word); }

// Uids of neighbours must not have the same places.
constexpr size_t first_place(Uid user) {
    constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;
    return static_cast<size_t>(user.value * kGoldenRatio >> 32) % LogQuota::kAccounts;
}

// The lines of the user with this one; nothing if the account is another one's.
std::optional<uint32_t> add_line(std::atomic<uint64_t>& account, Uid user) {
    uint64_t word = account.load();
    for (;;) {
        if (word != 0 && user_in(word) != user) return std::nullopt;
        uint32_t lines = lines_in(word) == kMostLines ? kMostLines : lines_in(word) + 1;
        if (account.compare_exchange_weak(word, pack(user, lines))) return lines;
    }
}

}  // namespace

Result<LogQuota> LogQuota::map(UniqueFd fd) {
    void* page = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    int code = errno;
    if (page == MAP_FAILED) return fail_errno(code, "map the accounts of log lines");
    // A page of zeros is an empty Page.
    static_assert(std::atomic<uint64_t>::is_always_lock_free);
    return LogQuota(std::move(fd), static_cast<Page*>(page));
}

Result<LogQuota> LogQuota::create() {
    UniqueFd fd(memfd_create("nsresource-log-quota", MFD_CLOEXEC));
    int code = errno;
    if (!fd) return fail_errno(code, "memfd_create");
    TRY(sys::allocate(fd.borrow(), sizeof(Page), "accounts of log lines"));
    return map(std::move(fd));
}

Result<LogQuota> LogQuota::attach(UniqueFd fd) { return map(std::move(fd)); }

LogQuota::~LogQuota() {
    if (page_) munmap(page_, sizeof(Page));
}

uint64_t LogQuota::this_minute() { return sys::now_usec() / kMinuteUsec; }

Verdict LogQuota::count(Uid user, uint64_t minute) {
    Minute& now = at(minute);
    std::optional<uint32_t> lines;
    if (user != log::kUnknownUser)
        for (size_t i = 0; i < kProbes && !lines; ++i)
            lines = add_line(now.accounts[(first_place(user) + i) % kAccounts], user);
    if (!lines) lines = add_line(now.shared, log::kUnknownUser);
    return lines && *lines <= kLines ? Verdict::kWrite : Verdict::kLeaveOut;
}

std::vector<LogQuota::LeftOut> LogQuota::close(uint64_t minute) {
    std::vector<LeftOut> found;
    auto close_account = [&](Account& account) {
        uint64_t word = account.exchange(0);
        if (lines_in(word) > kLines) found.push_back({user_in(word), lines_in(word) - kLines});
    };
    for (Account& account : at(minute).accounts) close_account(account);
    close_account(at(minute).shared);
    std::ranges::stable_sort(found, std::greater(), &LeftOut::lines);
    return found;
}

void bound_log(std::shared_ptr<LogQuota> quota, std::function<Uid(Uid)> user_of) {
    log::set_gate([quota = std::move(quota), user_of = std::move(user_of)](Uid uid) {
        return quota->count(user_of(uid), LogQuota::this_minute());
    });
}

}  // namespace nsr::pool
