// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/ledger.h"

#include "ranges/user_table.h"
#include "ranges_boot.h"
#include "ranges_scratch.h"

namespace nsr::reclaim {
namespace {

using ranges::kContainerPool;
using Change = Ledger::Change;

class ReclaimLedger : public ranges::Scratch {
protected:
    ReclaimLedger() { start(); }

    void start() {
        using enum ranges::UsedBefore::Reuse;
        EXPECT_TRUE(ranges::UsedBefore::begin_boot(state_.borrow(), runtime_.borrow(), kAfterReclaim));
        set_.reset();
        set_.emplace(ranges::UsedSet::open(state_.borrow(), runtime_.borrow()).value());
    }
    void boot() {
        ranges::begin_another_boot(path("state"), path("run"));
        start();
    }
    /// Takes ranges that nobody has any more, in an earlier boot.
    std::set<Uid> use(int count) {
        auto starts = use_now(count);
        boot();
        return starts;
    }
    std::set<Uid> use_now(int count) {
        std::set<Uid> starts;
        for (int i = 0; i < count; i++) {
            ranges::Candidates order(kContainerPool, {&ranges::kAllIds, 1}, fmt::format("{}", i));
            auto start = set_->take(order, [](Uid) { return ranges::UsedSet::Verdict::kAcceptable; });
            starts.insert(start.value().value());
        }
        return starts;
    }
    registry::Store store() { return registry::Store::open(runtime_.borrow()).value(); }
    static registry::Registration registration(Uid start) {
        registry::Registration made;
        made.name = "x";
        made.userns = {NsInode(4711), NsId(1)};
        made.range = registry::TransientRange{65536, start, 0, Gid(start.value), 0};
        return made;
    }
    void add(Uid start) {
        auto to = store();
        auto lock = to.lock();
        ASSERT_TRUE(lock && to.add(*lock, registration(start)));
    }
    void remove(Uid start) {
        auto from = store();
        auto lock = from.lock();
        ASSERT_TRUE(lock && from.remove(*lock, registration(start)));
    }
    Ledger open() { return std::move(Ledger::open(path("run"), path("state")).value()); }
    bool is_used(Uid start) { return set_->state_of(start).value() == ranges::UsedSet::State::kUsed; }
    static std::set<Uid> as_set(const std::vector<Uid>& starts) { return {starts.begin(), starts.end()}; }

    UniqueFd state_ = directory("state");
    UniqueFd runtime_ = directory("run");
    std::optional<ranges::UsedSet> set_;
};

TEST_F(ReclaimLedger, NothingIsMadeWhereNothingWasUsed) {
    directory("empty");
    auto ledger = Ledger::open(path("run"), path("empty"));
    ASSERT_FALSE(ledger);
    EXPECT_EQ(ledger.error().code(), ENOENT);
    EXPECT_TRUE(std::filesystem::is_empty(path("empty")));
}

TEST_F(ReclaimLedger, FreesWhatWasNotFound) {
    auto starts = use(4);
    auto ledger = open();
    EXPECT_EQ(ledger.candidates(), starts);
    Findings findings;
    findings.add({&starts.begin()->value, 1}, [] { return "x"; });
    auto outcome = ledger.settle(findings, Change::kFree);
    ASSERT_TRUE(outcome);
    for (Uid start : starts) EXPECT_EQ(is_used(start), start == *starts.begin());
    starts.erase(starts.begin());
    EXPECT_EQ(as_set(outcome->freed), starts);
}

TEST_F(ReclaimLedger, WhatIsFreedCountsAgainstNoUser) {
    auto starts = use(3);
    auto users = std::move(ranges::UserTable::make(store().state_dir(), {}).value());
    for (Uid start : starts) users.assign(start, Uid(1000));
    Findings findings;
    findings.add({&starts.begin()->value, 1}, [] { return "x"; });
    ASSERT_TRUE(open().settle(findings, Change::kNone));
    EXPECT_EQ(users.count_ranges(kContainerPool, Uid(1000)), 3u);
    ASSERT_TRUE(open().settle(findings, Change::kFree));
    EXPECT_EQ(users.count_ranges(kContainerPool, Uid(1000)), 1u);
    EXPECT_EQ(users.user_of(*starts.begin()), Uid(1000));
}

TEST_F(ReclaimLedger, WhatWasUsedInThisBootIsNeverFreed) {
    auto old = use(2);
    auto young = use_now(3);
    for (Uid start : old) young.erase(start);
    auto ledger = open();
    EXPECT_EQ(ledger.candidates(), old);
    EXPECT_EQ(ledger.used_in_this_boot(), young);
    EXPECT_EQ(as_set(ledger.settle(Findings(), Change::kFree)->freed), old);
    for (Uid start : young) EXPECT_TRUE(is_used(start));
    boot();
    auto next = open();
    EXPECT_EQ(next.candidates(), young);
    EXPECT_TRUE(next.used_in_this_boot().empty());
    EXPECT_EQ(as_set(next.settle(Findings(), Change::kFree)->freed), young);
}

TEST_F(ReclaimLedger, UsedAgainWhileLooking) {
    auto starts = use(1);
    auto ledger = open();
    ASSERT_EQ(ledger.candidates(), starts);
    ASSERT_TRUE(set_->mark_used({&*starts.begin(), 1}));
    ASSERT_TRUE(ledger.settle(Findings(), Change::kFree));
    EXPECT_TRUE(is_used(*starts.begin()));
}

TEST_F(ReclaimLedger, BeforeTheFirstStartInABootNothingIsKnown) {
    auto starts = use_now(1);
    ranges::begin_another_boot(path("state"), path("run"));
    auto early = Ledger::open(path("run"), path("state"));
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code(), EAGAIN);
    EXPECT_FALSE(std::filesystem::exists(path("run/nsresource")))
        << "a trace of it would be taken for an earlier start";
    start();
    EXPECT_EQ(open().candidates(), starts);
}

TEST_F(ReclaimLedger, OneProblemIsEnough) {
    auto starts = use(2);
    auto ledger = open();
    Findings findings;
    findings.add_problem("unreadable");
    EXPECT_TRUE(ledger.settle(findings, Change::kFree)->freed.empty());
    for (Uid start : starts) EXPECT_TRUE(is_used(start));
}

TEST_F(ReclaimLedger, TellingChangesNothing) {
    auto starts = use(2);
    EXPECT_EQ(as_set(open().settle(Findings(), Change::kNone)->freed), starts);
    for (Uid start : starts) EXPECT_TRUE(is_used(start));
}

TEST_F(ReclaimLedger, ReadyRangesAreNoCandidatesAndStay) {
    auto starts = use(1);
    ASSERT_TRUE(set_->refill(kContainerPool, [](Uid) { return ranges::UsedSet::Verdict::kAcceptable; }));
    auto ledger = open();
    EXPECT_EQ(ledger.candidates(), starts);
    uint32_t remaining = set_->remaining(kContainerPool).value();
    ASSERT_TRUE(ledger.settle(Findings(), Change::kFree));
    EXPECT_EQ(set_->remaining(kContainerPool).value(), remaining + 1);
}

TEST_F(ReclaimLedger, RegisteredAtTheBegin) {
    auto starts = use(2);
    Uid start = *starts.begin();
    add(start);
    auto ledger = open();
    EXPECT_FALSE(ledger.candidates().contains(start));
    EXPECT_EQ(ledger.in_use(), 1u);
    remove(start);  // it dies while we look, after its files were passed
    EXPECT_EQ(ledger.settle(Findings(), Change::kFree)->freed.size(), 1u);
    EXPECT_TRUE(is_used(start));
}

TEST_F(ReclaimLedger, HandedOutMeanwhile) {
    auto starts = use(2);
    auto ledger = open();
    Uid start = *starts.begin();
    add(start);
    remove(start);
    auto outcome = ledger.settle(Findings(), Change::kFree);
    EXPECT_EQ(outcome->freed, std::vector<Uid>{*starts.rbegin()});
    EXPECT_TRUE(is_used(start));
}

TEST_F(ReclaimLedger, MarksWhatWasNotKnown) {
    use(1);
    auto ledger = open();
    Uid start = kContainerPool.start_of(28663);
    bool was_used = is_used(start);
    ASSERT_FALSE(was_used);
    Findings findings;
    findings.add({&start.value, 1}, [] { return "x"; });
    EXPECT_EQ(ledger.settle(findings, Change::kNone)->marked, std::vector<Uid>{start});
    EXPECT_FALSE(is_used(start));
    EXPECT_TRUE(ledger.settle(findings, Change::kMark)->freed.empty());
    EXPECT_TRUE(is_used(start));
}

TEST_F(ReclaimLedger, MoreThanCanBeFollowed) {
    auto starts = use(1);
    auto ledger = open();
    for (int i = 0; i < 40000; i++) write(fmt::format("run/nsresource/registry/n{}.userns", i), "");
    EXPECT_FALSE(ledger.settle(Findings(), Change::kFree));
    EXPECT_TRUE(is_used(*starts.begin()));
}

}  // namespace
}  // namespace nsr::reclaim
