// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"

#include <gtest/gtest.h>

namespace nsr {
namespace {

TEST(Log, NoNameForgesALineOrCommandsATerminal) {
    log::open("test", log::Level::kInfo);
    testing::internal::CaptureStderr();
    log::warning("cgroup {} is busy", "a\nb\x1b[31m\xc2\x9b\xe2\x80\xaeü\xe2\x80\xa8\xff\\");
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "test: warning: cgroup a\\x0ab\\x1b[31m\\u{9b}\\u{202e}ü\\u{2028}\\xff\\ is busy\n");
}

}  // namespace
}  // namespace nsr
