// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/fair_share.h"

#include <gtest/gtest.h>

namespace nsr::manager {
namespace {

using Company = FairShare::Company;
constexpr uint64_t kNow = 1'000'000'000;

TEST(FairShare, OneUserIsAlone) {
    FairShare share;
    EXPECT_EQ(share.company_of(Uid(1000), kNow), Company::kAlone);
    share.note(Uid(1000), kNow);
    share.note(Uid(1000), kNow + 1);
    EXPECT_EQ(share.company_of(Uid(1000), kNow + 2), Company::kAlone);
}

TEST(FairShare, BothOfTwoAreInCompany) {
    FairShare share;
    share.note(Uid(1000), kNow);
    share.note(Uid(1001), kNow);
    share.note(Uid(1000), kNow);
    EXPECT_EQ(share.company_of(Uid(1000), kNow), Company::kWithOthers);
    EXPECT_EQ(share.company_of(Uid(1001), kNow), Company::kWithOthers);
    EXPECT_EQ(share.company_of(Uid(1002), kNow), Company::kWithOthers);
}

TEST(FairShare, IsForgottenAfterAWhile) {
    FairShare share;
    share.note(Uid(1001), kNow);
    share.note(Uid(1000), kNow + FairShare::kActiveUsec);
    EXPECT_EQ(share.company_of(Uid(1000), kNow + FairShare::kActiveUsec), Company::kAlone);
    EXPECT_EQ(share.company_of(Uid(1001), kNow + FairShare::kActiveUsec), Company::kWithOthers);
}

}  // namespace
}  // namespace nsr::manager
