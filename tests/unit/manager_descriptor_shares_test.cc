// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/descriptor_shares.h"

#include <gtest/gtest.h>

namespace nsr::manager {
namespace {

TEST(DescriptorShares, LeaveRoomForTheManagerItself) {
    for (size_t limit : {64UL, 65UL, 100UL, 128UL, 256UL, 700UL, 1024UL, 2048UL, 2049UL, 4096UL, 65536UL, 524288UL}) {
        auto shares = DescriptorShares::of_limit(limit);
        EXPECT_LE(shares.connections + shares.pins + 48, limit) << limit;
        EXPECT_GE(shares.pins, 8U) << limit;
        EXPECT_GE(shares.connections, 8U) << limit;
    }
}

TEST(DescriptorShares, NeverShrinkAsTheLimitGrows) {
    DescriptorShares before;
    for (size_t limit = 0; limit < 20'000; ++limit) {
        auto shares = DescriptorShares::of_limit(limit);
        EXPECT_GE(shares.pins, before.pins) << limit;
        // A pin more may be a connection less.
        EXPECT_GE(shares.connections + 1, before.connections) << limit;
        before = shares;
    }
}

TEST(DescriptorShares, AreBounded) {
    EXPECT_EQ(DescriptorShares::of_limit(1 << 20).pins, 4096U);
    EXPECT_GT(DescriptorShares::of_limit(0).connections, 0U);
}

}  // namespace
}  // namespace nsr::manager
