// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"

#include <gtest/gtest.h>
#include <vector>

namespace nsr::log {
namespace {

using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

class GateTest : public ::testing::Test {
protected:
    GateTest() {
        open("test", Level::kDebug);
        set_gate([this](Uid uid) {
            asked.push_back(uid);
            return verdict;
        });
        CaptureStderr();
    }
    ~GateTest() override { open("test", Level::kInfo); }

    Verdict verdict = Verdict::kLeaveOut;
    std::vector<Uid> asked;
};

TEST_F(GateTest, IsNotAskedAboutTheServicesOwnLines) {
    error("one");
    {
        OnBehalfOf user(Uid(7));
        OnBehalfOf of_no_user(std::nullopt);
        error("two");
    }
    error("three");
    EXPECT_EQ(GetCapturedStderr(), "test: error: one\ntest: error: two\ntest: error: three\n");
    EXPECT_TRUE(asked.empty());
}

TEST_F(GateTest, DecidesAboutLinesOfUsers) {
    OnBehalfOf user(Uid(7));
    warning("left out");
    verdict = Verdict::kWrite;
    warning("written");
    EXPECT_EQ(GetCapturedStderr(), "test: warning: written\n");
    EXPECT_EQ(asked, (std::vector{Uid(7), Uid(7)}));
}

TEST_F(GateTest, IsAskedForTheInnermostUser) {
    OnBehalfOf client(Uid(7));
    {
        OnBehalfOf owner(Uid(8));
        info("x");
    }
    info("x");
    EXPECT_EQ(GetCapturedStderr(), "");
    EXPECT_EQ(asked, (std::vector{Uid(8), Uid(7)}));
}

TEST_F(GateTest, IsNotAskedAboutDebugLinesNorWhatTheLevelLeavesOut) {
    OnBehalfOf user(Uid(7));
    debug("seen");
    set_level(Level::kWarning);
    notice("not seen");
    EXPECT_EQ(GetCapturedStderr(), "test: debug: seen\n");
    EXPECT_TRUE(asked.empty());
}

TEST(Log, NoNameForgesALineOrCommandsATerminal) {
    open("test", Level::kInfo);
    CaptureStderr();
    warning("cgroup {} is busy", "a\nb\x1b[31m\xc2\x9b\xe2\x80\xaeü\xe2\x80\xa8\xff\\");
    EXPECT_EQ(GetCapturedStderr(), "test: warning: cgroup a\\x0ab\\x1b[31m\\u{9b}\\u{202e}ü\\u{2028}\\xff\\ is busy\n");
}

}  // namespace
}  // namespace nsr::log
