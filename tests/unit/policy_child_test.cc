// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <unistd.h>
#include <csignal>

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

}  // namespace
}  // namespace nsr::policy
