// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/forked_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "base/sys.h"

namespace nsr {
namespace {

constexpr uint64_t kLongUsec = 30'000'000;

uint64_t later() { return sys::now_usec() + kLongUsec; }
bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(ForkedChild, GivesTheExitStatus) {
    auto child = ForkedChild::start(std::nullopt, []() -> Result<int> { return 42; });
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait(later()).value(), 42);
}

TEST(ForkedChild, SaysWhatFailedAndHow) {
    auto child =
        ForkedChild::start(std::vector<int>(), []() -> Result<int> { return fail_errno(ENOSPC, "the stage"); });
    ASSERT_TRUE(child);
    auto status = child->wait(later());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ENOSPC);
    EXPECT_EQ(status.error().what(), fail_errno(ENOSPC, "the stage").error().what());
}

TEST(ForkedChild, CutsALongReport) {
    auto child =
        ForkedChild::start(std::nullopt, []() -> Result<int> { return fail(EIO, "{}", std::string(1'000'000, 'x')); });
    ASSERT_TRUE(child);
    auto status = child->wait(later());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), EIO);
    EXPECT_TRUE(status.error().what().starts_with("xxx"));
}

TEST(ForkedChild, HasNoFailureBeforeItFails) {
    auto child = ForkedChild::start(std::nullopt, []() -> Result<int> {
        for (;;) pause();
    });
    ASSERT_TRUE(child);
    EXPECT_TRUE(child->failure());
}

TEST(ForkedChild, ADeathIsNoStatus) {
    auto child = ForkedChild::start(std::nullopt, []() -> Result<int> {
        raise(SIGKILL);
        return 0;
    });
    ASSERT_TRUE(child);
    auto status = child->wait(later());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ECANCELED);
}

TEST(ForkedChild, IsKilledAndReapedWhereItStillRuns) {
    pid_t pid = 0;
    {
        auto child = ForkedChild::start(std::nullopt, []() -> Result<int> {
            for (;;) pause();
        });
        ASSERT_TRUE(child);
        pid = child->pid();
        auto status = child->wait(sys::now_usec());
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code(), ETIMEDOUT);
    }
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(ForkedChild, AnAbandonedOneIsKilled) {
    auto child = ForkedChild::start(std::nullopt, []() -> Result<int> {
        for (;;) pause();
    });
    ASSERT_TRUE(child);
    pid_t pid = child->pid();
    child->abandon();
    int status = 0;
    // It may have been reaped at once.
    if (waitpid(pid, &status, 0) == pid) {
        EXPECT_EQ(WTERMSIG(status), SIGKILL);
    }
}

TEST(ForkedChild, KeepsWhatItIsToKeep) {
    UniqueFd kept(open("/dev/null", O_RDONLY | O_CLOEXEC));
    UniqueFd other(fcntl(kept.get(), F_DUPFD_CLOEXEC, 200));
    auto body = [&]() -> Result<int> { return (is_open(kept.get()) ? 1 : 0) + (is_open(other.get()) ? 2 : 0); };
    auto some = ForkedChild::start(std::vector{kept.get()}, body);
    ASSERT_TRUE(some);
    EXPECT_EQ(some->wait(later()).value(), 1);
    auto all = ForkedChild::start(std::nullopt, body);
    ASSERT_TRUE(all);
    EXPECT_EQ(all->wait(later()).value(), 3);
}

// The grandchild holds the writing end of a pipe for as long as it lives.
TEST(ForkedChild, EndsWithItsParent) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    ASSERT_TRUE(pair);
    pid_t parent = fork();
    if (parent == 0) {
        pair->first.reset();
        auto child = ForkedChild::start(std::nullopt, [&]() -> Result<int> {
            TRY(sys::write_all(pair->second.borrow(), "x"));
            for (;;) pause();
        });
        for (;;) pause();
    }
    pair->second.reset();
    char byte = 0;
    EXPECT_EQ(read(pair->first.get(), &byte, 1), 1);
    kill(parent, SIGKILL);
    EXPECT_EQ(waitpid(parent, nullptr, 0), parent);
    struct pollfd gone{pair->first.get(), POLLIN, 0};
    EXPECT_EQ(sys::poll({&gone, 1}, kLongUsec).value(), 1u);
    EXPECT_EQ(read(pair->first.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace nsr
