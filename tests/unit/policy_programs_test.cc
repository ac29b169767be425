// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "policy/layout.h"
#include "policy/programs.h"
#include "ranges/pool.h"

namespace nsr::policy {
namespace {

std::string source(const std::string& file) {
    std::ifstream stream(std::string(NSR_SOURCE_DIR) + "/src/policy/bpf/" + file);
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
}

// What is not in the list would never be asked of a kernel, and no missing hook of it be noticed.
TEST(PolicyPrograms, AreAllThatTheSourceHas) {
    std::set<std::pair<std::string, std::string>> listed, found;
    for (const auto& program : policy_programs()) listed.emplace(program.name, program.target);
    const std::regex section(R"re(SEC\("(?:fentry|fmod_ret)/(\w+)"\)\s*int (?:BPF_PROG\()?(\w+))re");
    for (const char* file : {"existing_inodes.h", "groups.h", "ipc.h", "keys.h", "new_inodes.h", "overlayfs.h"}) {
        std::string text = source(file);
        for (std::sregex_iterator i(text.begin(), text.end(), section), end; i != end; ++i)
            found.emplace((*i)[2], (*i)[1]);
    }
    EXPECT_EQ(listed, found);
}

// The programs know the pools by figures of their own.
TEST(PolicyPrograms, KnowThePools) {
    std::string text = source("judge.h");
    for (const auto& pool : {ranges::kDynamicPool, ranges::kContainerPool}) {
        std::string test = fmt::format("(id >= {} && id <= {})", pool.first, pool.last);
        EXPECT_NE(text.find(test), std::string::npos) << test;
    }
}

TEST(PolicyLayout, HasRoomForBothPools) {
    EXPECT_GE(static_cast<uint32_t>(NSR_MAX_OWNERS), ranges::kContainerPool.count() + ranges::kDynamicPool.count());
}

}  // namespace
}  // namespace nsr::policy
