// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/release_queue.h"

#include <gtest/gtest.h>

#include "pool/channel.h"

namespace nsr::manager {
namespace {

constexpr Uid kAnna(1000), kBert(1001);

NsIdentity identity(uint64_t inode) { return {NsInode(inode), NsId(inode)}; }

std::vector<uint64_t> inodes(const ReleaseQueue::Turn& turn) {
    std::vector<uint64_t> found;
    for (const auto& one : turn.namespaces) found.push_back(one.inode.value);
    return found;
}

using Inodes = std::vector<uint64_t>;

class ReleaseQueueTest : public testing::Test {
protected:
    void add(uint64_t inode, Uid owner) { queue_.add(identity(inode), owner); }

    // Everyone has the ids from 65536 times their own uid on.
    ReleaseQueue queue_{[](Uid uid) { return uid.value < 65536 ? uid : Uid(uid.value / 65536); }};
};

TEST_F(ReleaseQueueTest, GivesOnesOfOneUserTogether) {
    for (uint64_t inode : Inodes{1, 2, 3}) add(inode, kAnna);
    auto turn = queue_.next();
    EXPECT_EQ(turn.user, kAnna);
    EXPECT_EQ(inodes(turn), (Inodes{1, 2, 3}));
    EXPECT_TRUE(queue_.empty());
}

TEST_F(ReleaseQueueTest, GivesNoMoreThanOneMessageHolds) {
    for (uint64_t inode = 0; inode < 2 * pool::kMaxNamespaces; ++inode) add(inode, kAnna);
    add(9999, kBert);
    EXPECT_EQ(queue_.next().namespaces.size(), pool::kMaxNamespaces);
    EXPECT_EQ(inodes(queue_.next()), (Inodes{9999}));
    EXPECT_EQ(queue_.next().namespaces.size(), pool::kMaxNamespaces);
    EXPECT_TRUE(queue_.empty());
}

TEST_F(ReleaseQueueTest, TakesTurnsByUserAndNotByUid) {
    for (uint32_t number = 0; number < 100; ++number) add(number, Uid(kAnna.value * 65536 + number));
    add(500, kBert);
    EXPECT_EQ(queue_.next().user, kAnna);
    EXPECT_EQ(queue_.next().user, kBert);
    EXPECT_TRUE(queue_.empty());
}

TEST_F(ReleaseQueueTest, PutsWhatIsUnfinishedBehindAllOthers) {
    for (uint64_t inode : Inodes{1, 2}) add(inode, kAnna);
    auto turn = queue_.next();
    add(3, kAnna);
    add(4, kBert);
    queue_.put_back(turn, std::vector{identity(2), identity(1)});
    EXPECT_EQ(inodes(queue_.next()), (Inodes{3, 2, 1}));
    EXPECT_EQ(inodes(queue_.next()), (Inodes{4}));
    // The user's next turn is not before that of one who came meanwhile.
    queue_.put_back(turn, std::vector{identity(1)});
    add(5, kBert);
    turn = queue_.next();
    queue_.put_back(turn, std::vector{identity(1)});
    EXPECT_EQ(queue_.next().user, kBert);
    EXPECT_EQ(inodes(queue_.next()), (Inodes{1}));
    EXPECT_TRUE(queue_.empty());
}

TEST_F(ReleaseQueueTest, TriesEachAloneAfterAWorkerDied) {
    for (uint64_t inode : Inodes{1, 2}) add(inode, kAnna);
    auto turn = queue_.next();
    queue_.retry(turn);
    add(3, kAnna);
    add(4, kAnna);
    turn = queue_.next();
    EXPECT_EQ(inodes(turn), (Inodes{1}));
    EXPECT_EQ(turn.attempts, 1);
    EXPECT_EQ(inodes(queue_.next()), (Inodes{2}));
    queue_.retry(turn);
    EXPECT_EQ(inodes(queue_.next()), (Inodes{3, 4}));
    EXPECT_EQ(queue_.next().attempts, 2);
}

}  // namespace
}  // namespace nsr::manager
