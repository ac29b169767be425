// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/recover.h"
#include "registry_scratch.h"

namespace nsr::registry {
namespace {

/// A namespace that is dead, and whose ranges are not free yet.
class SetAsideTest : public ::testing::Test {
protected:
    static constexpr uint32_t kRange = 1048576;

    Registration add(Registration registration) {
        EXPECT_TRUE(store.add(store.lock().value(), registration));
        return registration;
    }
    Registration record_aside(const Registration& registration) {
        auto aside = store.set_aside(store.lock().value(), registration);
        EXPECT_TRUE(aside) << aside.error().what();
        return *aside;
    }
    Registration set_aside(const Registration& registration) {
        Registration aside = record_aside(registration);
        remove(registration);
        return aside;
    }
    void remove(const Registration& registration) { EXPECT_TRUE(store.remove(store.lock().value(), registration)); }
    Taken taken(uint32_t start) { return store.range_taken(Uid(start)).value(); }

    ScratchRegistry scratch;
    Store store = scratch.open();
    Registration dead = transient(5, "a", 524288);
};

TEST_F(SetAsideTest, FreesInodeNumberAndNameButNotTheRange) {
    dead.cgroups = {CgroupId(77)};
    dead.network_interfaces = {"ns-a"};
    add(dead);
    Registration aside = set_aside(dead);
    EXPECT_TRUE(is_set_aside(aside.userns));
    EXPECT_FALSE(is_set_aside(dead.userns));
    EXPECT_EQ(aside.userns.id, dead.userns.id);
    EXPECT_EQ(aside.cgroups, dead.cgroups);
    EXPECT_TRUE(aside.network_interfaces.empty());
    EXPECT_FALSE(*store.find_by_inode(NsInode(5)));
    EXPECT_EQ(*store.name_taken("a"), Taken::kFree);
    EXPECT_EQ(taken(524288), Taken::kTaken);
    EXPECT_EQ(*store.find_by_start(Uid(524288)), aside);
    EXPECT_EQ(*store.find_by_inode(aside.userns.inode), aside);
    EXPECT_EQ(store.owned(Uid(1000))->size(), 1u);
    add(transient(5, "a", 589824));
    remove(aside);
    EXPECT_EQ(taken(524288), Taken::kFree);
    EXPECT_EQ(scratch.files().size(), kFilesOfA.size());
}

TEST_F(SetAsideTest, ManyOfOneInodeNumber) {
    std::vector<Registration> all;
    for (uint32_t i = 0; i < 5; ++i) {
        auto next = transient(5, "a", 524288 + 65536 * i);
        next.userns.id = NsId(100 + i);
        all.push_back(set_aside(add(next)));
    }
    for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(*store.find_by_start(Uid(524288 + 65536 * i)), all[i]);
    for (const auto& one : all) remove(one);
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(SetAsideTest, IsTheSameIfItIsDoneAgain) {
    add(dead);
    Registration aside = record_aside(dead);
    EXPECT_EQ(record_aside(dead), aside);
    EXPECT_EQ(*store.ranges_of(dead), Store::Ranges::kElsewhere);
    EXPECT_EQ(*store.ranges_of(aside), Store::Ranges::kHeld);
    remove(dead);
    EXPECT_EQ(taken(524288), Taken::kTaken);
    remove(aside);
    EXPECT_TRUE(scratch.files().empty());
}

// The manager may die between the two steps.
TEST_F(SetAsideTest, OutlastsARecoveryInTheMiddle) {
    add(with_delegates(dead, {kRange}));
    dead = **store.find_by_inode(NsInode(5));
    record_aside(dead);
    auto report = recover(store, [](const Registration&) { return Verdict::kKeep; });
    ASSERT_TRUE(report);
    EXPECT_EQ(report->kept, 2u);
    Registration aside = set_aside(dead);
    EXPECT_EQ(taken(524288), Taken::kTaken);
    EXPECT_EQ(taken(kRange), Taken::kTaken);
    ASSERT_TRUE(recover(store, [](const Registration&) { return Verdict::kKeep; }));
    EXPECT_EQ(taken(524288), Taken::kTaken);
    EXPECT_EQ(taken(kRange), Taken::kTaken);
    remove(aside);
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(SetAsideTest, KeepsDelegatedRangesUntilTheEnd) {
    Registration above = add(with_delegates(transient(4, "above", 589824), {kRange}));
    dead = add(with_delegates(dead, {kRange}));
    Registration below = add(with_delegates(transient(6, "below", 655360), {kRange}));
    Registration aside = set_aside(dead);
    auto delegation = *store.find_delegation(Uid(kRange));
    EXPECT_EQ(delegation->userns, below.userns.inode);
    EXPECT_EQ(delegation->ancestors, (std::vector{above.userns.inode, aside.userns.inode}));
    remove(below);
    EXPECT_EQ((*store.find_delegation(Uid(kRange)))->userns, aside.userns.inode);
    remove(aside);
    EXPECT_EQ((*store.find_delegation(Uid(kRange)))->userns, above.userns.inode);
    remove(above);
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(SetAsideTest, OfOneWithoutARangeOfItsOwn) {
    EXPECT_EQ(*store.ranges_of(plain(9, "b")), Store::Ranges::kHeld);
    dead = plain(5, "a");
    dead.range = TransientRange{1, Uid(1000), 0, Gid(1000), 0};
    add(dead = with_delegates(dead, {kRange}));
    EXPECT_EQ(*store.ranges_of(dead), Store::Ranges::kHeld);
    Registration aside = record_aside(dead);
    EXPECT_EQ(*store.ranges_of(dead), Store::Ranges::kElsewhere);
    EXPECT_EQ(*store.ranges_of(aside), Store::Ranges::kHeld);
    remove(aside);
    EXPECT_EQ(*store.ranges_of(dead), Store::Ranges::kElsewhere);
    remove(dead);
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(SetAsideTest, TakesNoRangeOfAnother) {
    add(dead);
    Registration other = transient(6, "b", 524288);
    EXPECT_FALSE(store.set_aside(store.lock().value(), other));
    EXPECT_EQ(*store.find_by_start(Uid(524288)), dead);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

}  // namespace
}  // namespace nsr::registry
