// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <set>

#include "manager/reaper.h"

namespace nsr::manager {
namespace {

class ReaperTest : public testing::Test {
protected:
    Reaper make(Reaper::Word word) {
        auto life = [this](const NsIdentity& identity) {
            return dead_.contains(identity.inode) ? namespaces::Life::kDead : namespaces::Life::kAlive;
        };
        auto verify = [this] { return --answers_ < 0 ? Status(fail(EPERM, "no rights")) : Status(); };
        return Reaper({life, word, verify}, [this](std::vector<Watched> dead) {
            for (const auto& one : dead) released_.push_back(one.identity.inode.value);
        });
    }

    static NsIdentity identity(uint64_t inode) { return {NsInode(inode), NsId()}; }
    static Watched watched(uint64_t inode) { return {identity(inode), Uid(1000)}; }

    std::set<NsInode> dead_;
    int answers_ = 1000;  ///< so often the kernel can tell
    std::vector<uint64_t> released_;
};

TEST_F(ReaperTest, ASweepFindsTheDead) {
    Reaper reaper = make(Reaper::Word::kNone);
    reaper.watch(watched(1));
    reaper.watch(watched(2));
    dead_.insert(NsInode(2));
    reaper.sweep();
    reaper.sweep();
    EXPECT_EQ(released_, std::vector<uint64_t>{2});
}

TEST_F(ReaperTest, ASweepIsNoEvidenceWhereTheKernelCannotTell) {
    Reaper reaper = make(Reaper::Word::kNone);
    reaper.watch(watched(1));
    dead_.insert(NsInode(1));
    for (int answers : {0, 1}) {  // not before it, or not after it
        answers_ = answers;
        reaper.sweep();
        EXPECT_TRUE(released_.empty()) << answers;
    }
    answers_ = 2;
    reaper.sweep();
    EXPECT_EQ(released_, std::vector<uint64_t>{1});
}

TEST_F(ReaperTest, WordOfADeathIsChecked) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    reaper.watch(watched(1));
    reaper.hear({NsInode(1), NsInode(7)});
    EXPECT_TRUE(released_.empty());
    dead_.insert(NsInode(1));
    reaper.hear({NsInode(1), NsInode(1)});
    EXPECT_EQ(released_, std::vector<uint64_t>{1});
}

TEST_F(ReaperTest, ADeathBeforeItIsWatchedIsNotMissed) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1));
    EXPECT_EQ(released_, std::vector<uint64_t>{1});
}

TEST_F(ReaperTest, WhatCouldNotBeReleasedIsTriedAgainLater) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1));
    reaper.done({identity(1)}, {identity(1)});
    EXPECT_EQ(reaper.size(), 1U);
    reaper.hear({NsInode(1)});  // not at once
    EXPECT_EQ(released_.size(), 1U);
}

TEST_F(ReaperTest, WhatWasReleasedIsForgotten) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1));
    reaper.done({identity(1)}, {});
    EXPECT_EQ(reaper.size(), 0U);
}

// A worker released the first and registered the second before the end of the release was heard of here.
TEST_F(ReaperTest, TheNextOneWithItsInodeNumberIsNot) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1));
    dead_.clear();
    reaper.watch(watched(1));
    reaper.done({identity(1)}, {});
    dead_.insert(NsInode(1));
    reaper.hear({NsInode(1)});
    EXPECT_EQ(released_.size(), 2U);
}

}  // namespace
}  // namespace nsr::manager
