// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/log_quota.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>

namespace nsr::pool {
namespace {

using log::Verdict;
using LeftOut = LogQuota::LeftOut;
constexpr uint64_t kMinute = 41;
constexpr uint32_t kLines = LogQuota::kLines;
constexpr Uid kUser{1000}, kOther{1001};

class LogQuotaTest : public ::testing::Test {
protected:
    LogQuotaTest() : quota(std::move(*LogQuota::create())) {}

    uint32_t count_written(Uid user, uint32_t lines, uint64_t minute = kMinute) {
        uint32_t written = 0;
        for (uint32_t i = 0; i < lines; ++i) written += quota.count(user, minute) == Verdict::kWrite ? 1u : 0u;
        return written;
    }
    LogQuota quota;
};

TEST_F(LogQuotaTest, LetsTheFirstLinesOfAMinutePass) {
    EXPECT_EQ(count_written(kUser, 1000), kLines);
    EXPECT_EQ(count_written(kUser, 1000, kMinute + 1), kLines);
}

TEST_F(LogQuotaTest, CountsEachUserAlone) {
    count_written(kUser, 1000);
    EXPECT_EQ(count_written(kOther, 3), 3u);
    EXPECT_EQ(count_written(Uid(0), 1000), kLines) << "root is a user, too";
}

TEST_F(LogQuotaTest, SaysWhatWasLeftOut) {
    count_written(kUser, kLines + 2);
    count_written(kOther, kLines + 7);
    count_written(Uid(3), kLines);
    count_written(kUser, kLines + 100, kMinute + 1);
    EXPECT_EQ(quota.close(kMinute), (std::vector<LeftOut>{{kOther, 7}, {kUser, 2}}));
    EXPECT_TRUE(quota.close(kMinute).empty()) << "only once";
    EXPECT_EQ(quota.close(kMinute + 1), (std::vector<LeftOut>{{kUser, 100}}));
}

TEST_F(LogQuotaTest, BeginsAnewOnceAMinuteIsClosed) {
    count_written(kUser, 1000);
    quota.close(kMinute);
    EXPECT_EQ(count_written(kUser, 1000, kMinute + 2), kLines);
}

TEST_F(LogQuotaTest, BoundsUsersForWhomThereIsNoAccount) {
    uint32_t written = 0;
    constexpr uint32_t kMany = 100'000;
    for (uint32_t i = 0; i < kMany; ++i) written += count_written(Uid(i), kLines + 1);
    EXPECT_LE(written, (LogQuota::kAccounts + 1) * kLines);
    EXPECT_GE(written, LogQuota::kAccounts / 2 * kLines) << "places must not be wasted";
    uint64_t left_out = 0;
    for (const auto& account : quota.close(kMinute)) left_out += account.lines;
    EXPECT_EQ(left_out, uint64_t{kMany} * (kLines + 1) - written) << "each line is written or counted";
}

TEST_F(LogQuotaTest, HasOneAccountForAllUnknownUsers) {
    EXPECT_EQ(count_written(log::kUnknownUser, 100), kLines);
    EXPECT_EQ(quota.close(kMinute), (std::vector<LeftOut>{{log::kUnknownUser, 100 - kLines}}));
}

TEST_F(LogQuotaTest, IsSharedByProcesses) {
    constexpr uint32_t kProcesses = 4, kEach = 10'000;
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    UniqueFd from(pipe_ends[0]), to(pipe_ends[1]);
    for (uint32_t i = 0; i < kProcesses; ++i) {
        if (fork() != 0) continue;
        auto attached = LogQuota::attach(UniqueFd(dup(quota.fd().get())));
        for (uint32_t line = 0; attached && line < kEach; ++line)
            if (attached->count(kUser, kMinute) == Verdict::kWrite && write(to.get(), "x", 1) != 1) _exit(1);
        _exit(attached ? 0 : 1);
    }
    for (uint32_t i = 0; i < kProcesses; ++i) {
        int status = -1;
        ASSERT_GT(wait(&status), 0);
        EXPECT_EQ(status, 0);
    }
    char written[kProcesses * kLines];
    EXPECT_EQ(read(from.get(), written, sizeof written), kLines);
    EXPECT_EQ(quota.close(kMinute), (std::vector<LeftOut>{{kUser, kProcesses * kEach - kLines}}));
}

TEST(BoundLog, AsksForTheUserBehindAUid) {
    log::open("test", log::Level::kInfo);
    auto quota = std::make_shared<LogQuota>(std::move(*LogQuota::create()));
    bound_log(quota, [](Uid uid) { return uid.value >= 524288 ? kUser : uid; });
    testing::internal::CaptureStderr();
    uint64_t minute = LogQuota::this_minute();
    for (uint32_t i = 0; i < 100; ++i) {
        log::OnBehalfOf one_of_many(Uid(524288 + i));
        log::warning("line");
    }
    std::string text = testing::internal::GetCapturedStderr();
    auto lines = std::ranges::count(text, '\n');
    // If a minute has ended meanwhile, the next one has its own lines.
    bool is_same_minute = LogQuota::this_minute() == minute;
    EXPECT_TRUE(is_same_minute ? lines == kLines : lines <= 2 * kLines) << text;
    log::open("test", log::Level::kInfo);
}

}  // namespace
}  // namespace nsr::pool
