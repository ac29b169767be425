// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/used_set.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <set>

#include "ranges_boot.h"
#include "ranges_scratch.h"

namespace nsr::ranges {
namespace {

using Verdict = UsedSet::Verdict;

Result<Verdict> accept_all(Uid) { return Verdict::kAcceptable; }

Candidates anywhere(const Pool& pool, std::string_view name) { return {pool, {&kAllIds, 1}, name}; }

class UsedSetTest : public Scratch {
protected:
    UsedSet open() {
        auto set = UsedSet::open(state_.borrow(), runtime_.borrow());
        EXPECT_TRUE(set) << set.error().what();
        return *std::move(set);
    }
    /// The tmpfs is empty after a reboot.
    void reboot() { std::filesystem::remove_all(path("run/nsresource")); }
    int open_error() {
        auto set = UsedSet::open(state_.borrow(), runtime_.borrow());
        return set ? 0 : set.error().code();
    }
    static Uid take(UsedSet& set, const Pool& pool, std::string_view name = "x") {
        auto start = set.take(anywhere(pool, name), accept_all);
        EXPECT_TRUE(start && *start);
        return start.value().value();
    }

    UniqueFd state_ = directory("state");
    UniqueFd runtime_ = directory("run");
};

/// Counters that forked processes share: how often each range was handed out.
class Tally {
public:
    explicit Tally(const Pool& pool) : pool_(pool) {
        void* memory = mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) abort();
        counts_ = static_cast<std::atomic<uint8_t>*>(memory);
    }
    ~Tally() { munmap(counts_, size()); }
    Tally(const Tally&) = delete;
    Tally& operator=(const Tally&) = delete;

    void add(Uid start) { counts_[pool_.index_of(start).value()]++; }
    uint32_t with(int count) const {
        return static_cast<uint32_t>(std::count(counts_, counts_ + pool_.count(), count));
    }
    uint32_t most() const { return *std::max_element(counts_, counts_ + pool_.count()); }

private:
    size_t size() const { return pool_.count(); }

    const Pool& pool_;
    std::atomic<uint8_t>* counts_;
};

/// Takes and refills until nothing is left; for a process of its own.
[[noreturn]] void exhaust(BorrowedFd state, BorrowedFd runtime, const Pool& pool, Tally& tally, int number) {
    auto set = UsedSet::open(state, runtime);
    if (!set) _exit(1);
    for (int i = 0;; i++) {
        auto start = set->take(anywhere(pool, fmt::format("{}-{}", number, i)), accept_all);
        if (!start) _exit(2);
        if (!*start) _exit(0);
        tally.add(**start);
        auto supply = set->supply(pool);
        if (!supply) _exit(3);
        if (*supply == UsedSet::Supply::kLow && !set->refill(pool, accept_all)) _exit(4);
    }
}

TEST_F(UsedSetTest, FirstStartMakesTheFiles) {
    UsedSet set = open();
    EXPECT_EQ(std::filesystem::file_size(path("state/used")), 4141u);
    EXPECT_EQ(std::filesystem::status(path("state/used")).permissions(), std::filesystem::perms(0600));
    EXPECT_EQ(set.remaining(kContainerPool), 28664u);
    EXPECT_EQ(set.remaining(kDynamicPool), 4336u);
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kLow);
}

TEST_F(UsedSetTest, RefillMarksABlockAheadAndTakingUsesIt) {
    UsedSet set = open();
    ASSERT_TRUE(set.refill(kContainerPool, accept_all));
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kPlenty);
    EXPECT_EQ(set.supply(kDynamicPool), UsedSet::Supply::kLow);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u);
    auto dump = [&] {
        std::ifstream in(path("state/used"), std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    std::string before = dump();
    std::set<Uid> taken;
    for (uint32_t i = 0; i < UsedSet::kBlock; i++) taken.insert(take(set, kContainerPool));
    EXPECT_EQ(dump(), before) << "an allocation from the block must not write to the disk";
    EXPECT_EQ(taken.size(), UsedSet::kBlock);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u - 64);
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kLow);
    EXPECT_GT(taken.rbegin()->value - taken.begin()->value, 1000u * 65536) << "the block is spread over the pool";
    taken.insert(take(set, kContainerPool));
    EXPECT_EQ(taken.size(), UsedSet::kBlock + 1) << "an empty block is no reason to refuse";
    EXPECT_NE(dump(), before);
}

TEST_F(UsedSetTest, WhatWasMarkedStaysUsedAfterAReboot) {
    std::set<Uid> before;
    {
        UsedSet set = open();
        ASSERT_TRUE(set.refill(kDynamicPool, accept_all));
        for (int i = 0; i < 10; i++) before.insert(take(set, kDynamicPool));
    }
    reboot();
    UsedSet set = open();
    EXPECT_EQ(set.remaining(kDynamicPool), 4336u - 64) << "the unclean end loses the rest of the block";
    for (Uid start : before) EXPECT_EQ(set.state_of(start), UsedSet::State::kUsed);
    for (uint32_t i = 0; i < 4336u - 64; i++) ASSERT_FALSE(before.contains(take(set, kDynamicPool)));
    EXPECT_EQ(set.take(anywhere(kDynamicPool, "x"), accept_all).value(), std::nullopt);
    EXPECT_EQ(set.remaining(kDynamicPool), 0u);
}

TEST_F(UsedSetTest, ReadyRangesOfAnotherBootAreNotTrusted) {
    {
        UsedSet set = open();
        ASSERT_TRUE(set.refill(kContainerPool, accept_all));
    }
    std::fstream file(path("run/nsresource/fresh"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8);
    file.write("otherboo", 8);
    file.close();
    UsedSet set = open();
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kLow);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u - 64);
}

TEST_F(UsedSetTest, ReadyRangesOfADeletedStateAreNotTrusted) {
    {
        UsedSet set = open();
        ASSERT_TRUE(set.refill(kContainerPool, accept_all));
    }
    std::filesystem::rename(path("state/used"), path("state/old"));
    UsedSet set = open();
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kLow);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u);
}

TEST_F(UsedSetTest, ACleanStopGivesBackWhatIsReady) {
    UsedSet set = open();
    ASSERT_TRUE(set.refill(kContainerPool, accept_all));
    Uid taken = take(set, kContainerPool);
    ASSERT_TRUE(set.give_back());
    EXPECT_EQ(set.supply(kContainerPool), UsedSet::Supply::kLow);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u - 1);
    EXPECT_EQ(set.state_of(taken), UsedSet::State::kUsed);
    reboot();
    EXPECT_EQ(open().remaining(kContainerPool), 28664u - 1);
}

TEST_F(UsedSetTest, ClearedRangesComeAgainAndReadyOnesStay) {
    std::vector<Uid> starts;
    {
        UsedSet before = open();
        starts.push_back(take(before, kContainerPool, "a"));
    }
    begin_another_boot(path("state"), path("run"));
    ASSERT_TRUE(UsedBefore::begin_boot(state_.borrow(), runtime_.borrow(), UsedBefore::Reuse::kAfterReclaim));
    UsedSet set = open();
    ASSERT_TRUE(set.refill(kContainerPool, accept_all));
    starts.push_back(take(set, kContainerPool, "b"));
    EXPECT_EQ(set.handed_out(kContainerPool)->count(), 2u);
    uint32_t remaining = set.remaining(kContainerPool).value();
    ASSERT_TRUE(set.return_unused(starts[1]));
    ASSERT_TRUE(set.clear(starts));
    EXPECT_EQ(set.state_of(starts[0]), UsedSet::State::kUnused);
    EXPECT_EQ(set.state_of(starts[1]), UsedSet::State::kUsed) << "it is ready";
    EXPECT_EQ(set.handed_out(kContainerPool)->count(), 0u);
    EXPECT_EQ(set.remaining(kContainerPool), remaining + 2);
    Uid none(kContainerPool.first + 1);
    EXPECT_EQ(set.clear({&none, 1}).error().code(), EINVAL);
    reboot();
    EXPECT_EQ(open().state_of(starts[0]), UsedSet::State::kUnused);
}

TEST_F(UsedSetTest, LiveRegistrationsAreMarked) {
    UsedSet set = open();
    ASSERT_TRUE(set.refill(kDynamicPool, accept_all));
    const Uid live[] = {Uid(61184), Uid(524288), Uid(1879048191 - 65535)};
    ASSERT_TRUE(set.mark_used(live));
    for (Uid start : live) EXPECT_EQ(set.state_of(start), UsedSet::State::kUsed);
    EXPECT_EQ(set.state_of(Uid(524288 + 65536)), UsedSet::State::kUnused);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u - 2);
    EXPECT_EQ(set.remaining(kDynamicPool), 4336u - 1);
    const Uid odd[] = {Uid(524288 + 65536), Uid(524289)};
    auto refused = set.mark_used(odd);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EINVAL);
    EXPECT_EQ(set.state_of(odd[0]), UsedSet::State::kUnused) << "a bad request changes nothing";
    EXPECT_FALSE(set.state_of(Uid(65535)));
}

TEST_F(UsedSetTest, TheJudgeDecides) {
    UsedSet set = open();
    auto even = [](Uid start) -> Result<Verdict> {
        return start.value % 2 == 0 ? Verdict::kAcceptable : Verdict::kTaken;
    };
    auto odd = [](Uid start) -> Result<Verdict> {
        return start.value % 2 == 1 ? Verdict::kAcceptable : Verdict::kTaken;
    };
    ASSERT_TRUE(set.refill(kDynamicPool, even));
    EXPECT_EQ(set.supply(kDynamicPool), UsedSet::Supply::kPlenty);
    auto start = set.take(anywhere(kDynamicPool, "x"), odd);  // passes over the whole block
    ASSERT_TRUE(start && *start);
    EXPECT_EQ((*start)->value % 2, 1u);
    EXPECT_EQ(set.supply(kDynamicPool), UsedSet::Supply::kLow);
    EXPECT_EQ(set.remaining(kDynamicPool), 4336u - 64 - 1);
    auto none = set.take(anywhere(kDynamicPool, "x"), [](Uid) -> Result<Verdict> { return Verdict::kTaken; });
    ASSERT_TRUE(none);
    EXPECT_EQ(*none, std::nullopt);
}

TEST_F(UsedSetTest, AFailingJudgeChangesNothing) {
    UsedSet set = open();
    auto broken = [](Uid) -> Result<Verdict> { return fail(EIO, "broken"); };
    ASSERT_FALSE(set.refill(kDynamicPool, broken));
    ASSERT_FALSE(set.take(anywhere(kDynamicPool, "x"), broken));
    ASSERT_TRUE(set.refill(kDynamicPool, accept_all));
    for (int i = 0; i < 100; i++) {
        auto start = set.take(anywhere(kDynamicPool, "x"), broken);
        ASSERT_FALSE(start);
        EXPECT_EQ(start.error().code(), EIO);
    }
    EXPECT_EQ(set.supply(kDynamicPool), UsedSet::Supply::kPlenty);
    EXPECT_EQ(set.remaining(kDynamicPool), 4336u);
}

TEST_F(UsedSetTest, ARestrictedParentGetsOnlyItsOwn) {
    UsedSet set = open();
    ASSERT_TRUE(set.refill(kDynamicPool, accept_all));
    IdInterval ids{61200, 61209};
    std::set<Uid> taken;
    for (int i = 0; i < 10; i++) {
        auto start = set.take(Candidates(kDynamicPool, {&ids, 1}, "x"), accept_all);
        ASSERT_TRUE(start && *start) << i;
        EXPECT_GE((*start)->value, ids.first);
        EXPECT_LE((*start)->value, ids.last);
        taken.insert(**start);
    }
    EXPECT_EQ(taken.size(), 10u);
    EXPECT_EQ(set.take(Candidates(kDynamicPool, {&ids, 1}, "x"), accept_all).value(), std::nullopt);
    EXPECT_EQ(set.take(Candidates(kDynamicPool, {}, "x"), accept_all).value(), std::nullopt);
}

TEST_F(UsedSetTest, RefillComesToAnEndWhereOthersUseEverything) {
    UsedSet set = open();
    uint32_t asked = 0;
    auto count = [&](Uid) -> Result<Verdict> {
        asked++;
        return Verdict::kTaken;
    };
    ASSERT_TRUE(set.refill(kContainerPool, count));
    EXPECT_LE(asked, 2000u);
    EXPECT_EQ(set.remaining(kContainerPool), 28664u);
}

TEST_F(UsedSetTest, HostileStateFilesAreRefusedAndKept) {
    write("outside", std::string(4141, 'x'));
    std::filesystem::create_symlink(path("outside"), path("state/used"));
    EXPECT_EQ(open_error(), ELOOP);
    std::filesystem::remove(path("state/used"));
    ASSERT_EQ(mkfifo(path("state/used").c_str(), 0600), 0);
    EXPECT_EQ(open_error(), EBADMSG);
    std::filesystem::remove(path("state/used"));
    std::filesystem::create_directory(path("state/used"));
    EXPECT_EQ(open_error(), EISDIR);
    std::filesystem::remove(path("state/used"));

    const std::string bad[] = {"",
                               "nsrbits\x01",
                               std::string(4141, '\0'),
                               std::string(4142, 'a'),
                               "nsrbits\x02" + std::string(4133, '\0'),
                               "nsrbits\x01" + std::string(4133, 'e')};
    for (const std::string& content : bad) {
        write("state/used", content);
        EXPECT_EQ(open_error(), EBADMSG) << content.size();
        std::ifstream in(path("state/used"), std::ios::binary);
        EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), content) << "must be left for people to look at";
    }
    write("state/used", "nsrbits\x01" + std::string(4133, '\0'));
    EXPECT_EQ(open_error(), 0);
    std::filesystem::permissions(path("state/used"), std::filesystem::perms(0666));
    EXPECT_EQ(open_error(), EPERM);
}

TEST_F(UsedSetTest, ADamagedListOfReadyRangesIsSetAsideAndNothingIsHandedOutTwice) {
    std::set<Uid> taken;
    auto damage = [&](auto make) {
        {
            UsedSet set = open();
            ASSERT_TRUE(set.refill(kContainerPool, accept_all));
            taken.insert(take(set, kContainerPool));
        }
        std::filesystem::remove_all(path("run/nsresource/fresh"));
        std::filesystem::remove_all(path("run/nsresource/fresh.damaged"));
        make(path("run/nsresource/fresh"));
        size_t before = taken.size();
        UsedSet set = open();
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(path("run/nsresource/fresh.damaged"))));
        for (int i = 0; i < 200; ++i) {
            ASSERT_TRUE(set.refill(kContainerPool, accept_all));
            taken.insert(take(set, kContainerPool));
        }
        EXPECT_EQ(taken.size(), before + 200);
    };
    damage([&](const std::string&) { write("run/nsresource/fresh", "too short"); });
    damage([&](const std::string&) { write("run/nsresource/fresh", std::string(4141, '\xff')); });
    damage([](const std::string& name) { std::filesystem::create_directory(name); });
    damage([](const std::string& name) { std::filesystem::create_symlink("/dev/null", name); });
    damage([](const std::string& name) { ASSERT_EQ(mkfifo(name.c_str(), 0600), 0); });
}

TEST_F(UsedSetTest, ALeftoverOfADeadMakerDoesNotMatter) {
    write("state/used.new", "half");
    UsedSet set = open();
    EXPECT_EQ(set.remaining(kContainerPool), 28664u);
}

TEST_F(UsedSetTest, FourProcessesNeverGetTheSame) {
    for (const Pool* pool : {&kContainerPool, &kDynamicPool}) {
        Tally tally(*pool);
        pid_t children[4];
        for (int i = 0; i < 4; i++) {
            children[i] = fork();
            if (children[i] == 0) exhaust(state_.borrow(), runtime_.borrow(), *pool, tally, i);
        }
        for (pid_t child : children) {
            int status = 0;
            ASSERT_EQ(waitpid(child, &status, 0), child);
            EXPECT_TRUE(WIFEXITED(status));
            EXPECT_EQ(WEXITSTATUS(status), 0);
        }
        EXPECT_EQ(tally.most(), 1u);
        EXPECT_EQ(tally.with(1), pool->count()) << "all ranges are found, to the last one";
        EXPECT_EQ(open().remaining(*pool), 0u);
    }
}

TEST_F(UsedSetTest, KilledProcessesLoseRangesButGiveNoneTwice) {
    Tally tally(kDynamicPool);
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0) exhaust(state_.borrow(), runtime_.borrow(), kDynamicPool, tally, round);
        usleep(static_cast<useconds_t>(500 + round * 37 % 700));
        kill(child, SIGKILL);
        ASSERT_EQ(waitpid(child, nullptr, 0), child);
        if (round % 10 == 9) {
            ASSERT_TRUE(open().give_back());
        }
        if (round % 20 == 19) reboot();
    }
    pid_t child = fork();
    if (child == 0) exhaust(state_.borrow(), runtime_.borrow(), kDynamicPool, tally, 1000);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(tally.most(), 1u);
}

}  // namespace
}  // namespace nsr::ranges
