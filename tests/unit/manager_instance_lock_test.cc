// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/instance_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/sys.h"

namespace nsr::manager {
namespace {

constexpr char kPath[] = "nsresource/lock";
constexpr uint64_t kShortUsec = 50'000;
constexpr uint64_t kLongUsec = 20'000'000;

class InstanceLockTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(mkdtemp(scratch_.data()), nullptr);
        directory = std::move(*sys::open_at(sys::kCwd, scratch_, O_RDONLY | O_DIRECTORY));
        ASSERT_TRUE(sys::mkdir_at(directory.borrow(), "nsresource", 0755));
    }
    void TearDown() override { std::filesystem::remove_all(scratch_); }

    std::string scratch_ = "/tmp/nsr-lock-test.XXXXXX";
    UniqueFd directory;
};

TEST_F(InstanceLockTest, IsFreeWhenItsHolderLetsGo) {
    {
        auto first = take_lock(directory.borrow(), kPath, kShortUsec);
        ASSERT_TRUE(first) << first.error().what();
    }
    EXPECT_TRUE(take_lock(directory.borrow(), kPath, kShortUsec));
}

TEST_F(InstanceLockTest, ARunningHolderIsWaitedFor) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "nsresourced");
        auto lock = take_lock(directory.borrow(), kPath, kShortUsec);
        [[maybe_unused]] ssize_t n = write(ready[1], lock ? "y" : "n", 1);
        for (;;) pause();
    }
    char answer = 0;
    ASSERT_EQ(read(ready[0], &answer, 1), 1);
    ASSERT_EQ(answer, 'y');
    auto refused = take_lock(directory.borrow(), kPath, kShortUsec);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ETIMEDOUT);
    kill(child, SIGKILL);
    EXPECT_TRUE(take_lock(directory.borrow(), kPath, kLongUsec));
    waitpid(child, nullptr, 0);
}

// As a process does that is held in the kernel when it ends: the file stays open, and what has it open is no process of
// ours that runs.
TEST_F(InstanceLockTest, AHolderThatWillNotRunAnyMoreDoesNotCount) {
    auto taken = take_lock(directory.borrow(), kPath, kShortUsec);
    ASSERT_TRUE(taken);
    auto again = take_lock(directory.borrow(), kPath, kShortUsec);
    ASSERT_TRUE(again) << again.error().what();
    auto there = sys::stat_at(directory.borrow(), kPath);
    auto ours = sys::stat_fd(again->borrow());
    ASSERT_TRUE(there && ours);
    EXPECT_EQ(there->st_ino, ours->st_ino);
    EXPECT_NE(sys::stat_fd(taken->borrow())->st_ino, ours->st_ino);
}

}  // namespace
}  // namespace nsr::manager
