// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "policy/level.h"

namespace nsr::policy {
namespace {

const Status kPossible;
const Status kImpossible = fail(ENOTSUP, "no such kernel");

TEST(ChooseLevel, TakesTheFirstThatWorks) {
    EXPECT_EQ(choose_level(std::nullopt, kPossible).level, Level::kEnforce);
    EXPECT_EQ(choose_level(std::nullopt, kImpossible).level, Level::kQuarantine);
}

TEST(ChooseLevel, RefusesRatherThanDoLessThanWasDemanded) {
    EXPECT_EQ(choose_level(Level::kEnforce, kPossible).level, Level::kEnforce);
    EXPECT_EQ(choose_level(Level::kEnforce, kImpossible).level, Level::kRefuse);
}

TEST(ChooseLevel, SaysWhy) {
    EXPECT_NE(choose_level(std::nullopt, kImpossible).reason.find("no such kernel"), std::string::npos);
    EXPECT_NE(choose_level(Level::kEnforce, kImpossible).reason.find("no such kernel"), std::string::npos);
}

TEST(ChooseLevel, TakesTheAdministratorsWordForTheRest) {
    for (Level level : {Level::kQuarantine, Level::kNone, Level::kRefuse}) {
        EXPECT_EQ(choose_level(level, kPossible).level, level);
        EXPECT_EQ(choose_level(level, kImpossible).level, level);
    }
}

TEST(Level, HasANameThatLeadsBack) {
    for (Level level : {Level::kEnforce, Level::kQuarantine, Level::kNone, Level::kRefuse})
        EXPECT_EQ(level_from_string(level_to_string(level)), level);
    EXPECT_EQ(level_from_string("Enforce"), std::nullopt);
    EXPECT_EQ(level_from_string(""), std::nullopt);
}

}  // namespace
}  // namespace nsr::policy
