// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "base/fd.h"
#include "policy/child.h"

namespace nsr::policy {
namespace {

using Lines = std::vector<std::string>;

TEST(InChild, GivesTheLines) {
    auto lines = in_child([]() -> Result<Lines> { return Lines{"one", "", "three"}; });
    ASSERT_TRUE(lines);
    EXPECT_EQ(*lines, (Lines{"one", "", "three"}));
}

TEST(InChild, GivesTheError) {
    auto lines = in_child([]() -> Result<Lines> { return fail(ENOTSUP, "it cannot"); });
    ASSERT_FALSE(lines);
    EXPECT_EQ(lines.error().code(), ENOTSUP);
    EXPECT_EQ(lines.error().what(), "it cannot");
}

TEST(InChild, IsAProcessOfItsOwn) {
    auto lines = in_child([]() -> Result<Lines> { return Lines{std::to_string(getpid())}; });
    ASSERT_TRUE(lines);
    EXPECT_NE(lines->front(), std::to_string(getpid()));
}

TEST(InChild, ReportsADeath) {
    auto lines = in_child([]() -> Result<Lines> {
        raise(SIGKILL);
        return Lines{};
    });
    ASSERT_FALSE(lines);
    EXPECT_EQ(lines.error().code(), ECANCELED);
}

TEST(InChild, BoundsWhatIsSaid) {
    auto lines = in_child([]() -> Result<Lines> { return Lines{std::string(100'000, 'x')}; });
    ASSERT_FALSE(lines);
    EXPECT_EQ(lines.error().code(), EFBIG);
}

TEST(InChild, HoldsNothingOfTheParents) {
    UniqueFd low(open("/dev/null", O_RDONLY | O_CLOEXEC));
    UniqueFd high(fcntl(low.get(), F_DUPFD_CLOEXEC, 200));
    auto lines = in_child([&]() -> Result<Lines> {
        Lines kept;
        for (int fd : {low.get(), high.get()})
            if (fcntl(fd, F_GETFD) >= 0) kept.push_back(std::to_string(fd));
        return kept;
    });
    ASSERT_TRUE(lines);
    EXPECT_EQ(*lines, Lines{});
}

constexpr unsigned kLimitSeconds = 30;
constexpr int kSkipped = 77;

UniqueFd open_namespace_of_children(pid_t parent) {
    struct stat own{}, found{};
    stat("/proc/self/ns/pid", &own);
    std::string path = "/proc/" + std::to_string(parent) + "/ns/pid_for_children";
    for (;; usleep(1000)) {
        // The own one at first, and none at all before the new one has its first process.
        UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (fd && fstat(fd.get(), &found) == 0 && found.st_ino != own.st_ino) return fd;
    }
}

// Brings a process in that nobody waits for when it has ended.
[[noreturn]] void keep_one_inside(pid_t parent) {
    alarm(kLimitSeconds);
    UniqueFd inside = open_namespace_of_children(parent);
    if (setns(inside.get(), CLONE_NEWPID) < 0) _exit(EXIT_FAILURE);
    if (fork() == 0) alarm(kLimitSeconds);
    for (;;) pause();
}

// The first process of a process namespace cannot end before all others in there have been waited for, not even by
// SIGKILL.
int leave_one_that_hangs() {
    alarm(kLimitSeconds);
    pid_t self = getpid();
    pid_t keeper = fork();
    if (keeper == 0) keep_one_inside(self);
    if (unshare(CLONE_NEWPID) < 0) {
        kill(keeper, SIGKILL);
        return kSkipped;
    }
    auto lines = in_child([]() -> Result<Lines> {
        while (kill(2, 0) < 0) usleep(1000);
        return Lines{std::string(100'000, 'x')};
    });
    kill(keeper, SIGKILL);
    return !lines && lines.error().code() == EFBIG ? EXIT_SUCCESS : EXIT_FAILURE;
}

TEST(InChild, DoesNotWaitForOneThatHangs) {
    pid_t pid = fork();
    if (pid == 0) _exit(leave_one_that_hangs());
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << "no right to make a process namespace";
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace nsr::policy
