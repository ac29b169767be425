// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/pool.h"

#include <gtest/gtest.h>

namespace nsr::ranges {
namespace {

TEST(Pool, HasTheRangesOfTheInterface) {
    EXPECT_EQ(kContainerPool.count(), 28664u);
    EXPECT_EQ(kContainerPool.start_of(0), Uid(524288));
    EXPECT_EQ(kContainerPool.start_of(28663), Uid(1879048191 - 65535));
    EXPECT_EQ(kDynamicPool.count(), 4336u);
    EXPECT_EQ(kDynamicPool.start_of(0), Uid(61184));
    EXPECT_EQ(kDynamicPool.start_of(4335), Uid(65519));
}

TEST(Pool, IndexIsOnlyOfStarts) {
    EXPECT_EQ(kContainerPool.index_of(Uid(524288 + 65536)), 1u);
    EXPECT_EQ(kContainerPool.index_of(Uid(1879048191 - 65535)), 28663u);
    for (uint32_t id : {0u, 524287u, 524289u, 524288u - 65536u, 1879048191u, 1879048192u, 4294967295u})
        EXPECT_EQ(kContainerPool.index_of(Uid(id)), std::nullopt) << id;
    EXPECT_EQ(kDynamicPool.index_of(Uid(65519)), 4335u);
    for (uint32_t id : {61183u, 65520u, 65535u}) EXPECT_EQ(kDynamicPool.index_of(Uid(id)), std::nullopt) << id;
}

TEST(Pool, IsFoundBySizeAndById) {
    EXPECT_EQ(pool_for_size(65536), &kContainerPool);
    EXPECT_EQ(pool_for_size(1), &kDynamicPool);
    for (uint32_t size : {0u, 2u, 65535u, 65537u}) EXPECT_EQ(pool_for_size(size), nullptr) << size;
    EXPECT_EQ(pool_of_id(524288 + 70000), &kContainerPool);
    EXPECT_EQ(pool_of_id(1879048191), &kContainerPool);
    EXPECT_EQ(pool_of_id(61184), &kDynamicPool);
    for (uint32_t id : {0u, 1000u, 61183u, 65520u, 65534u, 65535u, 65536u, 524287u, 1879048192u, 4294967295u}) {
        EXPECT_EQ(pool_of_id(id), nullptr) << id;
        EXPECT_EQ(range_start_of(id), std::nullopt) << id;
    }
}

TEST(Pool, EveryMemberLeadsToItsStart) {
    EXPECT_EQ(range_start_of(524288), Uid(524288));
    EXPECT_EQ(range_start_of(524288 + 65535), Uid(524288));
    EXPECT_EQ(range_start_of(524288 + 65536), Uid(524288 + 65536));
    EXPECT_EQ(range_start_of(1879048191), Uid(1879048191 - 65535));
    EXPECT_EQ(range_start_of(61200), Uid(61200));
}

}  // namespace
}  // namespace nsr::ranges
