// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

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

std::string word_at(const std::string& text, size_t at) {
    return text.substr(at, text.find_first_of("\"(, ", at) - at);
}

// Name and target of each: SEC("fentry/target"), and then "int name(" or "int BPF_PROG(name, ".
std::vector<std::pair<std::string, std::string>> programs_in(const std::string& text) {
    constexpr std::string_view kInt = "int ", kMacro = "BPF_PROG(";
    std::vector<std::pair<std::string, std::string>> programs;
    for (size_t at = text.find("SEC(\"f"); at != text.npos; at = text.find("SEC(\"f", at + 1)) {
        size_t name = text.find(kInt, at) + kInt.size();
        if (text.compare(name, kMacro.size(), kMacro) == 0) name += kMacro.size();
        std::string program = word_at(text, name);
        while (program.ends_with(')')) program.pop_back();
        programs.emplace_back(program, word_at(text, text.find('/', at) + 1));
    }
    return programs;
}

// What is not in the list would never be asked of a kernel, and no missing hook of it be noticed.
TEST(PolicyPrograms, AreAllThatTheSourceHas) {
    std::set<std::pair<std::string, std::string>> listed, found;
    for (const auto& program : policy_programs()) listed.emplace(program.name, program.target);
    for (const auto& entry : std::filesystem::directory_iterator(NSR_SOURCE_DIR "/src/policy/bpf"))
        if (entry.path().extension() == ".h")
            for (auto& program : programs_in(source(entry.path().filename()))) found.insert(std::move(program));
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
