// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/used_before.h"

#include "ranges/used_set.h"
#include "ranges_boot.h"
#include "ranges_scratch.h"

namespace nsr::ranges {
namespace {

using enum UsedBefore::Reuse;

Result<UsedSet::Verdict> accept_all(Uid) { return UsedSet::Verdict::kAcceptable; }

class UsedBeforeTest : public Scratch {
protected:
    void begin(UsedBefore::Reuse reuse = kAfterReclaim) {
        auto begun = UsedBefore::begin_boot(state_.borrow(), runtime_.borrow(), reuse);
        ASSERT_TRUE(begun) << begun.error().what();
    }
    UsedSet open() { return std::move(UsedSet::open(state_.borrow(), runtime_.borrow()).value()); }
    /// What the service does at its start.
    UsedSet start() {
        begin();
        return open();
    }
    void boot() { begin_another_boot(path("state"), path("run")); }
    void lose_runtime() { std::filesystem::remove_all(path("run/nsresource")); }

    static Uid take(UsedSet& set, std::string_view name = "x") {
        return set.take({kContainerPool, {&kAllIds, 1}, name}, accept_all).value().value();
    }
    static bool is_older(const UsedSet& set, Uid start) {
        const Pool& pool = *pool_of_id(start.value);
        return set.used_before(pool)->test(pool.index_of(start).value());
    }
    static bool is_used(const UsedSet& set, Uid start) { return set.state_of(start) == UsedSet::State::kUsed; }
    static uint32_t older(const UsedSet& set) { return set.used_before(kContainerPool)->count(); }

    UniqueFd state_ = directory("state");
    UniqueFd runtime_ = directory("run");
};

TEST_F(UsedBeforeTest, OlderIsWhatAnotherBootHasUsed) {
    UsedSet set = start();
    Uid one = take(set), other = take(set, "y");
    EXPECT_EQ(older(set), 0u);
    boot();
    UsedSet next = start();
    EXPECT_TRUE(is_older(next, one));
    EXPECT_TRUE(is_older(next, other));
    Uid third = take(next, "z");
    EXPECT_FALSE(is_older(next, third));
    EXPECT_EQ(older(next), 2u);
}

TEST_F(UsedBeforeTest, TheRecordIsMadeOnceInABoot) {
    UsedSet set = start();
    Uid one = take(set);
    for (int i = 0; i < 3; i++) {
        EXPECT_FALSE(is_older(start(), one));
        lose_runtime();
    }
    boot();
    EXPECT_TRUE(is_older(start(), one));
    lose_runtime();
    Uid two = take(set, "y");
    UsedSet again = start();
    EXPECT_TRUE(is_older(again, one));
    EXPECT_FALSE(is_older(again, two));
}

TEST_F(UsedBeforeTest, WhatIsUsedAgainIsNotOlder) {
    UsedSet before = start();
    Uid one = take(before), two = take(before, "y");
    boot();
    UsedSet set = start();
    ASSERT_TRUE(set.mark_used({&one, 1}));
    EXPECT_FALSE(is_older(set, one));
    EXPECT_TRUE(is_older(set, two));
    EXPECT_FALSE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, OnlyOlderOnesAreCleared) {
    UsedSet before = start();
    Uid old = take(before);
    boot();
    UsedSet set = start();
    Uid young = take(set, "y");
    const Uid both[] = {old, young};
    ASSERT_TRUE(set.clear(both));
    EXPECT_FALSE(is_used(set, old));
    EXPECT_TRUE(is_used(set, young));
}

TEST_F(UsedBeforeTest, AClearedRangeThatIsTakenAgainStaysUntilTheNextBoot) {
    UsedSet before = start();
    Uid one = take(before);
    for (bool ahead : {false, true}) {
        boot();
        UsedSet set = start();
        ASSERT_TRUE(set.clear({&one, 1}));
        ASSERT_FALSE(is_used(set, one));
        IdInterval ids{one.value, one.value + kContainerPool.size - 1};
        if (ahead) {
            std::vector<Uid> others;
            for (uint32_t index = 0; index < kContainerPool.count(); index++)
                if (kContainerPool.start_of(index) != one) others.push_back(kContainerPool.start_of(index));
            ASSERT_TRUE(set.mark_used(others) && set.refill(kContainerPool, accept_all));
            ASSERT_TRUE(is_used(set, one));
        }
        ASSERT_EQ(set.take({kContainerPool, {&ids, 1}, "x"}, accept_all).value(), one);
        EXPECT_FALSE(is_older(set, one));
        ASSERT_TRUE(set.clear({&one, 1}));
        EXPECT_TRUE(is_used(set, one));
        EXPECT_FALSE(is_older(start(), one));
    }
    boot();
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, AnotherUsedFileMakesNothingOlder) {
    UsedSet before = start();
    Uid one = take(before);
    boot();
    ASSERT_TRUE(is_older(start(), one));
    std::filesystem::remove(path("state/used"));
    UsedSet set = start();
    IdInterval ids{one.value, one.value + kContainerPool.size - 1};
    ASSERT_EQ(set.take({kContainerPool, {&ids, 1}, "x"}, accept_all).value(), one);
    EXPECT_FALSE(is_older(set, one));
}

TEST_F(UsedBeforeTest, WithoutARecordNothingIsOlderAndNoneIsMade) {
    UsedSet set = open();
    Uid one = take(set);
    EXPECT_EQ(older(set), 0u);
    ASSERT_TRUE(set.clear({&one, 1}));
    EXPECT_TRUE(is_used(set, one));
    EXPECT_FALSE(std::filesystem::exists(path("state/used-before")));
    EXPECT_EQ(UsedBefore::open(state_.borrow())->record(), UsedBefore::Record::kNone);
    boot();
    EXPECT_EQ(older(open()), 0u);
}

// A version without the record has been at work.
TEST_F(UsedBeforeTest, UpgradeInABoot) {
    Uid one = [&] {
        UsedSet set = open();
        return take(set);
    }();
    EXPECT_FALSE(is_older(start(), one));
    lose_runtime();
    EXPECT_FALSE(is_older(start(), one));
    boot();
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, UpgradeInABootAtTheLevelNone) {
    Uid one = [&] {
        UsedSet set = open();
        return take(set);
    }();
    lose_runtime();
    directory("run/nsresource");
    write("run/nsresource/taken", "");
    EXPECT_FALSE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, UpgradeBetweenBoots) {
    Uid one = [&] {
        UsedSet set = open();
        return take(set);
    }();
    lose_runtime();
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, AnOlderVersionInBetween) {
    UsedSet set = start();
    std::string record = path("state/used-before");
    std::filesystem::copy_file(record, path("kept"));
    boot();
    UsedSet without = open();  // keeps no record
    Uid one = take(without);
    EXPECT_FALSE(is_older(start(), one));
    boot();
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, ARuntimeDirectoryThatOutlivesTheBoot) {
    UsedSet before = start();
    Uid one = take(before);
    set_epoch(path("state/used-before"), "otherboo");
    set_epoch(path("run/nsresource/fresh"), "otherboo");
    write("run/nsresource/taken", "");
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, AtTheLevelNoneNothingIsOlder) {
    UsedSet before = start();
    Uid one = take(before);
    boot();
    ASSERT_TRUE(is_older(start(), one));
    begin(kAtOnce);
    EXPECT_FALSE(is_older(start(), one));
    boot();
    begin(kAtOnce);
    EXPECT_FALSE(is_older(start(), one));
    boot();
    EXPECT_TRUE(is_older(start(), one));
}

TEST_F(UsedBeforeTest, TheLevelNoneMakesNothingWhereNothingWasUsed) {
    begin(kAtOnce);
    EXPECT_TRUE(std::filesystem::is_empty(path("state")));
}

TEST_F(UsedBeforeTest, ADamagedRecordIsSetAsideAndNothingIsOlder) {
    UsedSet before = start();
    Uid one = take(before);
    auto damage = [&](auto make) {
        boot();
        std::filesystem::remove_all(path("state/used-before"));
        std::filesystem::remove_all(path("state/used-before.damaged"));
        make(path("state/used-before"));
        EXPECT_EQ(older(open()), 0u);
        lose_runtime();
        EXPECT_FALSE(is_older(start(), one));
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(path("state/used-before.damaged"))));
        lose_runtime();
        EXPECT_FALSE(is_older(start(), one)) << "nor at a later start in this boot";
        boot();
        EXPECT_TRUE(is_older(start(), one));
    };
    damage([&](const std::string&) { write("state/used-before", "too short"); });
    damage([&](const std::string&) { write("state/used-before", std::string(4141, '\xff')); });
    damage([](const std::string& name) { std::filesystem::create_directory(name); });
    damage([](const std::string& name) { std::filesystem::create_symlink("/dev/null", name); });
    damage([](const std::string& name) { ASSERT_EQ(mkfifo(name.c_str(), 0600), 0); });
}

}  // namespace
}  // namespace nsr::ranges
