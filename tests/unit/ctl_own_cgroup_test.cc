// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/own_cgroup.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/sys.h"
#include "ctl/cgroup_keeper.h"
#include "ctl/cgroup_paths.h"

namespace nsr::ctl {
namespace {

TEST(Cgroup2Path, IsThatOfHierarchyZero) {
    EXPECT_EQ(cgroup2_path("0::/\n"), "/");
    EXPECT_EQ(cgroup2_path("9:name=systemd:/x\n1:cpu:/y\n0::/user.slice/a b:c\n"), "/user.slice/a b:c");
    EXPECT_EQ(cgroup2_path("0::/no-newline"), "/no-newline");
}

TEST(Cgroup2Path, IsNothingWhereItCannotBeReached) {
    for (const char* text : {"", "\n", "1:cpu:/y\n", "10::/y\n", "0::\n", "0::/../..\n", "0::/../x\n", "00::/x"})
        EXPECT_FALSE(cgroup2_path(text)) << text;
}

TEST(OwnCgroup, RefusesWhatIsNoCgroup) {
    auto entered = OwnCgroup::enter(ControlGroup{"/proc/self"}, "x");
    ASSERT_FALSE(entered);
    EXPECT_NE(entered.error().what().find("cgroup"), std::string::npos);
    EXPECT_FALSE(OwnCgroup::enter(ControlGroup{"/no/such/directory"}, "x"));
}

TEST(CgroupPaths, LeavesOutWhatIsNotThere) {
    const std::array ids{CgroupId(0xFFFFFFFFFFFFFFFF)};
    EXPECT_TRUE(find_cgroup_paths(ids).empty());
    EXPECT_TRUE(find_cgroup_paths({}).empty());
}

/// The keeper knows nothing of cgroups but that an empty one is removed like an empty directory.
class CgroupKeeperTest : public testing::Test {
protected:
    CgroupKeeperTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "ctl-keeper-XXXXXX").string();
        base_ = ::mkdtemp(pattern.data());
        directory_ = *sys::open_at(sys::kCwd, base_, O_RDONLY | O_DIRECTORY);
    }
    ~CgroupKeeperTest() override { std::filesystem::remove_all(base_); }
    bool is_there() const { return std::filesystem::exists(base_ + "/x"); }

    std::string base_;
    UniqueFd directory_;
};

TEST_F(CgroupKeeperTest, RemovesWhatItMade) {
    {
        CgroupKeeper keeper = *CgroupKeeper::start(directory_.borrow(), "x");
        EXPECT_TRUE(is_there());
        CgroupKeeper moved = std::move(keeper);
    }
    EXPECT_FALSE(is_there());
}

TEST_F(CgroupKeeperTest, LeavesItWhenDismissed) {
    {
        CgroupKeeper keeper = *CgroupKeeper::start(directory_.borrow(), "x");
        keeper.dismiss();
    }
    EXPECT_TRUE(is_there());
}

TEST_F(CgroupKeeperTest, LeavesAloneWhatWasThereBefore) {
    std::filesystem::create_directory(base_ + "/x");
    auto keeper = CgroupKeeper::start(directory_.borrow(), "x");
    ASSERT_FALSE(keeper);
    EXPECT_EQ(keeper.error().code(), EEXIST);
    EXPECT_TRUE(is_there());
    EXPECT_LT(::waitpid(-1, nullptr, 0), 0);  // and no process
}

TEST_F(CgroupKeeperTest, OutlivesItsCallerToRemoveIt) {
    const pid_t caller = ::fork();
    if (caller == 0) {
        CgroupKeeper keeper = *CgroupKeeper::start(directory_.borrow(), "x");
        ::raise(SIGKILL);
    }
    ASSERT_EQ(::waitpid(caller, nullptr, 0), caller);
    for (int i = 0; i < 1000 && is_there(); ++i) ::usleep(10'000);
    EXPECT_FALSE(is_there());
}

}  // namespace
}  // namespace nsr::ctl
