// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "registry_scratch.h"

namespace nsr::registry {
namespace {

/// A chain of namespaces, each of which was handed a range by the one above.
class DelegationTest : public ::testing::Test {
protected:
    static constexpr uint32_t kRange = 1048576;

    void add(uint64_t inode) {
        Registration registration = with_delegates(
            transient(inode, fmt::format("n{}", inode), 524288 + 65536 * static_cast<uint32_t>(inode)), {kRange});
        ASSERT_TRUE(store.add(store.lock().value(), registration));
    }
    void remove(uint64_t inode) {
        auto registration = store.find_by_inode(NsInode(inode)).value();
        ASSERT_TRUE(registration);
        ASSERT_TRUE(store.remove(store.lock().value(), *registration));
    }
    std::optional<Delegation> delegation() { return store.find_delegation(Uid(kRange)).value(); }

    ScratchRegistry scratch;
    Store store = scratch.open();
};

TEST_F(DelegationTest, GoesDownAndComesBack) {
    add(1);
    EXPECT_EQ(*delegation(), (Delegation{NsInode(1), Uid(kRange), Gid(kRange), 65536, {}}));
    add(2);
    add(3);
    EXPECT_EQ(*delegation(), (Delegation{NsInode(3), Uid(kRange), Gid(kRange), 65536, {NsInode(1), NsInode(2)}}));
    EXPECT_EQ(scratch.stat("u1048576.delegate").st_ino, scratch.stat("g1048576.delegate").st_ino);
    remove(3);
    EXPECT_EQ(*delegation(), (Delegation{NsInode(2), Uid(kRange), Gid(kRange), 65536, {NsInode(1)}}));
    remove(2);
    remove(1);
    EXPECT_TRUE(scratch.files().empty());
}

// Deaths are seen in no particular order.
TEST_F(DelegationTest, EveryOrderOfDeathsEndsWithNothing) {
    std::vector<uint64_t> order{1, 2, 3, 4, 5};
    do {
        for (uint64_t inode = 1; inode <= 5; ++inode) add(inode);
        std::vector<uint64_t> living{1, 2, 3, 4, 5};
        for (uint64_t inode : order) {
            remove(inode);
            std::erase(living, inode);
            if (living.empty()) break;
            ASSERT_EQ(delegation()->userns, NsInode(living.back()));
            ASSERT_EQ(delegation()->ancestors.size(), living.size() - 1);
        }
        ASSERT_TRUE(scratch.files().empty());
    } while (std::ranges::next_permutation(order).found);
}

TEST_F(DelegationTest, IsNotGivenToAStrangerWithTheInodeNumberOfAnAncestor) {
    add(1);
    add(2);
    // The record of 1 is lost without a release, and another namespace gets its inode number.
    std::filesystem::remove(scratch.registry() / "i1.userns");
    std::filesystem::remove(scratch.registry() / "o1000.owns/i1.userns");
    Registration stranger = transient(1, "stranger", 10485760);
    ASSERT_TRUE(store.add(store.lock().value(), stranger));
    std::filesystem::remove(scratch.registry() / "i2.userns");
    ASSERT_TRUE(store.settle_delegation(store.lock().value(), Uid(kRange)));
    EXPECT_FALSE(delegation());
}

TEST_F(DelegationTest, SettlingLeavesWhatIsRight) {
    add(1);
    add(2);
    auto before = scratch.contents();
    ASSERT_TRUE(store.settle_delegation(store.lock().value(), Uid(kRange)));
    EXPECT_EQ(scratch.contents(), before);
    std::filesystem::remove(scratch.registry() / "g1048576.delegate");
    ASSERT_TRUE(store.settle_delegation(store.lock().value(), Uid(kRange)));
    EXPECT_EQ(scratch.contents(), before);
}

}  // namespace
}  // namespace nsr::registry
