// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/family.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace nsr::ctl {
namespace {

using registry::Delegation;
using registry::Registration;

constexpr uint32_t kSize = 65536;
uint32_t start_of(uint32_t number) { return 524288 + number * kSize; }

/// With range `range` of its own, and others handed down.
Registration member(uint64_t inode, std::string name, uint32_t range, const std::vector<uint32_t>& delegates = {}) {
    Registration r;
    r.name = std::move(name);
    r.userns.inode = NsInode(inode);
    const uint32_t start = start_of(range);
    r.range = {.size = kSize, .start = Uid(start), .target = 0, .start_gid = Gid(start), .target_gid = 0};
    for (const uint32_t d : delegates)
        r.delegates.push_back({NsInode(inode), Uid(start_of(d)), Gid(start_of(d)), kSize});
    return r;
}

Delegation held(uint32_t range, uint64_t holder, const std::vector<uint64_t>& ancestors = {}) {
    Delegation d{NsInode(holder), Uid(start_of(range)), Gid(start_of(range)), kSize, {}};
    for (const uint64_t inode : ancestors) d.ancestors.emplace_back(inode);
    return d;
}

std::vector<uint64_t> parents(const std::vector<Registration>& members, const std::vector<Delegation>& delegations) {
    std::vector<uint64_t> numbers;
    for (const auto& parent : parents_of(members, delegations)) numbers.push_back(parent ? parent->value : 0);
    return numbers;
}

std::string drawn(const std::vector<Registration>& members, const std::vector<Delegation>& delegations,
                  Branches branches = Branches::kAscii) {
    std::string text;
    for (const auto& line : tree_lines(members, parents_of(members, delegations), branches))
        text += line.branch + members[line.index].name + "\n";
    return text;
}

TEST(Parents, ARangeThatIsHeldByAnotherMakesItsChild) {
    EXPECT_EQ(parents({member(1, "a", 0, {1, 2}), member(2, "b", 1), member(3, "c", 9)}, {held(1, 1), held(2, 1)}),
              (std::vector<uint64_t>{0, 1, 0}));
}

TEST(Parents, SoDoRangesThatAreHandedOn) {
    // b has an own range from elsewhere, and got 2 from a; c, below b, got it in turn.
    EXPECT_EQ(parents({member(1, "a", 0, {2}), member(2, "b", 7, {2}), member(3, "c", 8, {2})}, {held(2, 3, {1, 2})}),
              (std::vector<uint64_t>{0, 1, 2}));
}

TEST(Parents, TheNearestThatLivesStandsInForTheDead) {
    EXPECT_EQ(parents({member(1, "a", 0, {2}), member(3, "c", 2)}, {held(2, 2, {1})}), (std::vector<uint64_t>{0, 1}));
    EXPECT_EQ(parents({member(3, "c", 2)}, {held(2, 2, {1})}), (std::vector<uint64_t>{0}));
}

TEST(Parents, AHolderIsNotItsOwnParent) {
    EXPECT_EQ(parents({member(1, "a", 1, {1})}, {held(1, 1)}), (std::vector<uint64_t>{0}));
}

TEST(Parents, OneWithoutRangeOrDelegationHasNone) {
    Registration self = member(2, "s", 0);
    self.range = {.size = 1, .start = Uid(1000), .target = 0, .start_gid = Gid(1000), .target_gid = 0};
    self.setgroups = Registration::Setgroups::kDenied;
    Registration bare = member(3, "r", 0);
    bare.range.reset();
    EXPECT_EQ(parents({self, bare}, {held(0, 3)}), (std::vector<uint64_t>{0, 0}));
}

TEST(Tree, ChildrenAreBelowTheirParents) {
    const std::vector<Registration> members{member(5, "a", 3), member(2, "b", 0, {1, 2, 3}), member(3, "c", 1, {2}),
                                            member(4, "d", 2), member(6, "e", 9)};
    const std::vector<Delegation> delegations{held(1, 2), held(2, 3, {2}), held(3, 2)};
    EXPECT_EQ(drawn(members, delegations), "b\n|-a\n`-c\n  `-d\ne\n");
    EXPECT_EQ(drawn(members, delegations, Branches::kUnicode), "b\n├─a\n└─c\n  └─d\ne\n");
}

TEST(Tree, FilesThatContradictEachOtherHideNothing) {
    // Each has the range that the other one holds.
    const std::vector<Registration> members{member(1, "a", 2, {1}), member(2, "b", 1, {2}), member(3, "c", 3)};
    const std::vector<Delegation> delegations{held(1, 1), held(2, 2), held(3, 2)};
    std::string text = drawn(members, delegations);
    EXPECT_EQ(std::ranges::count(text, '\n'), 3);
    for (const char* name : {"a\n", "b\n", "c\n"}) EXPECT_NE(text.find(name), std::string::npos);
}

TEST(Tree, SignsAreThoseOfTheLocale) {
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) ::unsetenv(variable);
    EXPECT_EQ(branches_of_locale(), Branches::kAscii);
    ::setenv("LANG", "de_DE.UTF-8", 1);
    EXPECT_EQ(branches_of_locale(), Branches::kUnicode);
    ::setenv("LC_CTYPE", "C.utf8", 1);
    EXPECT_EQ(branches_of_locale(), Branches::kUnicode);
    ::setenv("LC_ALL", "C", 1);
    EXPECT_EQ(branches_of_locale(), Branches::kAscii);
    ::setenv("LC_ALL", "", 1);
    EXPECT_EQ(branches_of_locale(), Branches::kUnicode);
}

}  // namespace
}  // namespace nsr::ctl
