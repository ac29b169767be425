// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/candidates.h"

#include <gtest/gtest.h>
#include <cstdlib>
#include <set>

namespace nsr::ranges {
namespace {

constexpr std::span<const IdInterval> everything() { return {&kAllIds, 1}; }

std::vector<uint32_t> whole_order(const Candidates& candidates) {
    Bitmap taken(candidates.pool().count());
    std::vector<uint32_t> order;
    while (auto index = candidates.first_free(taken)) {
        order.push_back(*index);
        taken.set(*index);
        if (order.size() > candidates.pool().count()) break;
    }
    return order;
}

TEST(Bitmap, CountsSetsAndInverts) {
    Bitmap bits(13);
    bits.set(0);
    bits.set(12);
    EXPECT_TRUE(bits.test(12));
    EXPECT_EQ(bits.count(), 2u);
    EXPECT_EQ(bits.inverted().count(), 11u);
    EXPECT_FALSE(bits.inverted().test(12));
    bits.clear(12);
    EXPECT_FALSE(bits.test(12));
    uint8_t bytes[] = {0xff, 0xff};
    EXPECT_EQ(Bitmap(13, bytes).count(), 13u);
}

TEST(Bitmap, CountsEveryBitOfAnySize) {
    for (uint32_t size = 1; size <= 200; size++) {
        EXPECT_EQ(Bitmap(size).inverted().count(), size);
        Bitmap last(size);
        last.set(size - 1);
        EXPECT_EQ(last.count(), 1u);
    }
}

TEST(Candidates, VisitEachRangeOfTheDynamicPoolOnce) {
    for (int i = 0; i < 5; i++) {
        Candidates candidates(kDynamicPool, everything(), fmt::format("name-{}", i));
        ASSERT_EQ(candidates.count(), kDynamicPool.count());
        std::vector<uint32_t> order = whole_order(candidates);
        EXPECT_EQ(order.size(), kDynamicPool.count());
        EXPECT_EQ(std::set(order.begin(), order.end()).size(), kDynamicPool.count());
    }
}

TEST(Candidates, FindTheVeryLastRange) {
    for (uint32_t last : {0u, 1u, 14000u, 28662u, 28663u}) {
        Bitmap taken = Bitmap(kContainerPool.count()).inverted();
        taken.clear(last);
        for (int i = 0; i < 200; i++)
            ASSERT_EQ(Candidates(kContainerPool, everything(), fmt::format("n{}", i)).first_free(taken), last);
    }
    Candidates candidates(kContainerPool, everything(), "x");
    EXPECT_EQ(candidates.first_free(Bitmap(kContainerPool.count()).inverted()), std::nullopt);
}

TEST(Candidates, NextGivesTheBeginningOfTheOrder) {
    Candidates candidates(kContainerPool, everything(), "web");
    Bitmap taken(kContainerPool.count());
    for (uint32_t i = 0; i < Candidates::kProbes; i++) {
        auto probe = candidates.next();
        ASSERT_TRUE(probe);
        EXPECT_EQ(candidates.first_free(taken), probe);
        taken.set(*probe);
    }
    EXPECT_EQ(candidates.next(), std::nullopt);
}

TEST(Candidates, SameNameSameOrderOtherNamesElsewhere) {
    EXPECT_EQ(whole_order(Candidates(kDynamicPool, everything(), "a")),
              whole_order(Candidates(kDynamicPool, everything(), "a")));
    std::set<uint32_t> firsts;
    for (int i = 0; i < 8; i++) {
        Candidates candidates(kContainerPool, everything(), fmt::format("box{}", i));
        firsts.insert(*candidates.next());
    }
    ASSERT_EQ(firsts.size(), 8u);
    uint32_t before = *firsts.begin();
    for (auto it = std::next(firsts.begin()); it != firsts.end(); before = *it++) EXPECT_GT(*it - before, 1u);
    EXPECT_GT(*firsts.rbegin() - *firsts.begin(), kContainerPool.count() / 4);
}

TEST(Candidates, TheProbesOfOneNameAreNoNeighbours) {
    for (int i = 0; i < 100; i++) {
        Candidates candidates(kContainerPool, everything(), fmt::format("n{}", i));
        uint32_t before = *candidates.next();
        while (auto index = candidates.next()) {
            EXPECT_GT(std::abs(static_cast<int>(*index) - static_cast<int>(before)), 1000);
            before = *index;
        }
    }
}

TEST(Candidates, OnlyRangesWhollyInsideOneInterval) {
    uint32_t first = kContainerPool.first;
    const IdInterval allowed[] = {
        {first + 10 * 65536, first + 12 * 65536 - 1},      // 10 and 11
        {first + 20 * 65536 + 1, first + 22 * 65536 - 1},  // 21
        {first + 30 * 65536, first + 31 * 65536 - 2},      // none
        {first + 31 * 65536 - 1, first + 32 * 65536 - 1},  // 31: beside the one before, not one line with it
        {first + 11 * 65536, first + 13 * 65536 - 1},      // 11 again, and 12
        {0, first + 65535},                                // 0
        {1879048191 - 65535, 4294967294},                  // the last
        {5, 4},
    };
    Candidates candidates(kContainerPool, allowed, "x");
    std::vector<uint32_t> order = whole_order(candidates);
    EXPECT_EQ(std::set(order.begin(), order.end()), (std::set<uint32_t>{0, 10, 11, 12, 21, 31, 28663}));
    EXPECT_EQ(order.size(), 7u);
    EXPECT_EQ(candidates.count(), 7u);
    for (uint32_t i = 0; i < 7; i++) EXPECT_EQ(candidates.next(), order[i]);
    EXPECT_EQ(candidates.next(), std::nullopt);
}

TEST(Candidates, NothingOfThePoolIsToldApart) {
    const IdInterval outside[] = {{0, 61183}, {65520, 524287}, {1879048192, 4294967294}};
    for (const Pool* pool : {&kContainerPool, &kDynamicPool}) {
        Candidates candidates(*pool, outside, "x");
        EXPECT_EQ(candidates.count(), 0u);
        EXPECT_EQ(candidates.next(), std::nullopt);
        EXPECT_EQ(candidates.first_free(Bitmap(pool->count())), std::nullopt);
    }
    EXPECT_EQ(Candidates(kDynamicPool, {}, "x").count(), 0u);
}

TEST(Candidates, EveryNumberOfRangesIsVisitedWhole) {
    for (uint32_t n = 1; n <= 300; n++) {
        IdInterval ids{kDynamicPool.first + 7, kDynamicPool.first + 7 + n - 1};
        std::vector<uint32_t> order = whole_order(Candidates(kDynamicPool, {&ids, 1}, fmt::format("{}", n)));
        ASSERT_EQ(std::set(order.begin(), order.end()).size(), n);
        ASSERT_EQ(order.size(), n);
    }
}

}  // namespace
}  // namespace nsr::ranges
