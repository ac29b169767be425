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
            if (forgotten_.contains(identity.inode)) return namespaces::Life::kUnknown;
            return dead_.contains(identity.inode) ? namespaces::Life::kDead : namespaces::Life::kAlive;
        };
        auto verify = [this] { return --answers_ < 0 ? Status(fail(EPERM, "no rights")) : Status(); };
        auto release = [this](std::vector<Watched> dead) {
            for (const auto& one : dead) released_.push_back(one.identity.inode.value);
        };
        return Reaper({life, word, verify},
                      {release, [this](const NsIdentity& identity) { over_.push_back(identity.id.value); }});
    }

    static NsIdentity identity(uint64_t inode, uint64_t id = 0) { return {NsInode(inode), NsId(id)}; }
    static Watched watched(uint64_t inode, uint64_t id = 0) { return {identity(inode, id), Uid(1000)}; }

    std::set<NsInode> dead_;
    std::set<NsInode> forgotten_;  ///< the kernel policy has no entry of these
    std::vector<uint64_t> over_;   ///< ids
    int answers_ = 1000;           ///< so often the kernel can tell
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

TEST_F(ReaperTest, ANamespaceIsOverOnceItsReleaseHasEnded) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1, 10));
    reaper.done({identity(1, 10)}, {identity(1, 10)});
    EXPECT_TRUE(over_.empty());
    reaper.done({identity(1, 11)}, {});
    EXPECT_TRUE(over_.empty());
    reaper.done({identity(1, 10)}, {});
    EXPECT_TRUE(over_.empty());  // the attempt that failed has ended, and there was no other one
}

// Its worker had to release the former first.
TEST_F(ReaperTest, ANamespaceIsOverWhenTheNextOneHasItsInodeNumber) {
    for (auto word : {Reaper::Word::kNone, Reaper::Word::kOfEachDeath}) {
        over_.clear();
        Reaper reaper = make(word);
        reaper.watch(watched(1, 10));
        reaper.watch(watched(2, 20));
        reaper.watch(watched(1, 11));
        EXPECT_EQ(over_, std::vector<uint64_t>{10});
        EXPECT_EQ(reaper.size(), 2U);
        // A release of the former that is under way says nothing about the next.
        reaper.done({identity(1, 10)}, {});
        EXPECT_EQ(over_.size(), 1U);
        EXPECT_EQ(reaper.size(), 2U);
    }
}

TEST_F(ReaperTest, ARepeatedAnnouncementEndsNothing) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    reaper.watch(watched(1, 10));
    reaper.watch(watched(1, 10));
    reaper.watch(watched(1, 10), Reaper::News::kRepeated);
    EXPECT_TRUE(over_.empty());
    // Nor does it have a release begin twice.
    dead_.insert(NsInode(1));
    reaper.hear({NsInode(1)});
    reaper.watch(watched(1, 10));
    EXPECT_EQ(released_.size(), 1U);
    reaper.done({identity(1, 10)}, {});
    EXPECT_EQ(over_, std::vector<uint64_t>{10});
}

// All that a kernel without ids of namespaces can tell.
TEST_F(ReaperTest, WithoutIdsANewRegistrationEndsTheFormer) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    reaper.watch(watched(1));
    reaper.watch(watched(1), Reaper::News::kRepeated);
    EXPECT_TRUE(over_.empty());
    reaper.watch(watched(1));
    EXPECT_EQ(over_.size(), 1U);
    EXPECT_EQ(reaper.size(), 1U);
}

TEST_F(ReaperTest, WithoutIdsTheEndOfAReleaseIsNotThatOfTheNext) {
    Reaper reaper = make(Reaper::Word::kOfEachDeath);
    dead_.insert(NsInode(1));
    reaper.watch(watched(1));
    dead_.clear();
    reaper.watch(watched(1));
    EXPECT_EQ(over_.size(), 1U);
    reaper.done({identity(1)}, {});
    EXPECT_EQ(over_.size(), 1U);
    EXPECT_EQ(reaper.size(), 1U);
}

// A worker that needed its name or range has released it before its death was heard of.
TEST_F(ReaperTest, WordOfTheDeathOfOneThatIsReleasedAlreadyEndsIt) {
    for (bool sweeps : {false, true}) {
        Reaper reaper = make(Reaper::Word::kOfEachDeath);
        released_.clear();
        reaper.watch(watched(1));
        forgotten_.insert(NsInode(1));
        sweeps ? static_cast<void>(reaper.sweep()) : reaper.hear({NsInode(1)});
        EXPECT_EQ(released_, std::vector<uint64_t>{1});
        forgotten_.clear();
    }
}

TEST_F(ReaperTest, WithoutWordsWhatIsUnknownIsNotDead) {
    Reaper reaper = make(Reaper::Word::kNone);
    reaper.watch(watched(1));
    forgotten_.insert(NsInode(1));
    reaper.sweep();
    EXPECT_TRUE(released_.empty());
}

}  // namespace
}  // namespace nsr::manager
