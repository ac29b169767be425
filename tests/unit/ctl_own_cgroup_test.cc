// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/own_cgroup.h"

#include <sys/signalfd.h>
#include <unistd.h>
#include <array>
#include <csignal>

#include <gtest/gtest.h>

#include "base/sys.h"
#include "ctl/cgroup_paths.h"
#include "ctl/signal_hold.h"

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

bool is_blocked(int number) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, number) == 1;
}

TEST(SignalHold, LastsAsLongAsItLives) {
    EXPECT_FALSE(is_blocked(SIGTERM));
    {
        SignalHold hold = *SignalHold::create();
        SignalHold moved = std::move(hold);
        EXPECT_TRUE(is_blocked(SIGTERM));
        EXPECT_TRUE(is_blocked(SIGINT));
        EXPECT_FALSE(is_blocked(SIGQUIT));
        struct pollfd waiting{moved.fd().get(), POLLIN, 0};
        EXPECT_EQ(*sys::poll({&waiting, 1}, 0), 0U);
        ::raise(SIGTERM);
        EXPECT_EQ(*sys::poll({&waiting, 1}, 0), 1U);
        signalfd_siginfo taken{};
        ASSERT_EQ(::read(moved.fd().get(), &taken, sizeof taken), static_cast<ssize_t>(sizeof taken));
    }
    EXPECT_FALSE(is_blocked(SIGTERM));
}

TEST(SignalHold, LeavesIgnoredSignalsAlone) {
    auto before = ::signal(SIGHUP, SIG_IGN);
    {
        SignalHold hold = *SignalHold::create();
        EXPECT_FALSE(is_blocked(SIGHUP));
    }
    ::signal(SIGHUP, before);
}

TEST(SignalHold, WhatCameIsNotLost) {
    EXPECT_EXIT(
        {
            SignalHold hold = *SignalHold::create();
            ::raise(SIGINT);
        },
        testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace nsr::ctl
