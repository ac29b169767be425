// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/recover.h"

#include <bit>

#include "registry_failing_open.h"
#include "registry_scratch.h"

namespace nsr::registry {
namespace {

class RecoverTest : public ::testing::Test {
protected:
    void add(const Registration& registration) { ASSERT_TRUE(store.add(store.lock().value(), registration)); }
    RecoveryReport recover_with(const std::set<uint64_t>& dead) {
        auto report = recover(store, [&](const Registration& registration) {
            return dead.contains(registration.userns.inode.value) ? Verdict::kRemove : Verdict::kKeep;
        });
        EXPECT_TRUE(report);
        return report ? *report : RecoveryReport{};
    }
    void drop(const std::string& file) const { ASSERT_TRUE(std::filesystem::remove(scratch.registry() / file)); }
    void link(const std::string& from, const std::string& to) const {
        std::filesystem::create_hard_link(scratch.registry() / from, scratch.registry() / to);
    }

    ScratchRegistry scratch;
    Store store = scratch.open();
    const Registration a = transient(5, "a", 524288);
};

TEST_F(RecoverTest, LeavesAWholeRegistryAsItIs) {
    add(a);
    add(plain(6, "b", Uid(0)));
    auto before = scratch.files();
    RecoveryReport report = recover_with({});
    EXPECT_EQ(report.kept, 2u);
    EXPECT_EQ(report.removed + report.broken + report.links_made + report.links_removed + report.links_in_doubt +
                  report.unknown_files,
              0u);
    EXPECT_EQ(scratch.files(), before);
}

TEST_F(RecoverTest, RemovesTheDead) {
    add(a);
    add(transient(6, "b", 589824, Uid(1001)));
    RecoveryReport report = recover_with({6});
    EXPECT_EQ(report.kept, 1u);
    EXPECT_EQ(report.removed, 1u);
    EXPECT_EQ(report.links_removed, 0u);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(RecoverTest, MakesAnyMissingLink) {
    add(a);
    const std::vector<std::string> links{"na.userns", "u524288.userns", "g524288.userns", "o1000.owns/i5.userns"};
    for (unsigned missing = 0; missing < 16; ++missing) {
        for (unsigned i = 0; i < links.size(); ++i)
            if (missing & (1u << i)) drop(links[i]);
        if (missing & 8) drop("o1000.owns");
        RecoveryReport report = recover_with({});
        EXPECT_EQ(report.links_made, static_cast<size_t>(std::popcount(missing)));
        EXPECT_EQ(scratch.files(), kFilesOfA);
        EXPECT_EQ(scratch.stat("i5.userns").st_nlink, 5u);
    }
}

TEST_F(RecoverTest, MakesTheEntryAgainFromALink) {
    add(a);
    drop("i5.userns");
    drop("na.userns");
    drop("g524288.userns");
    RecoveryReport report = recover_with({});
    EXPECT_EQ(report.kept, 1u);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(RecoverTest, RemovesLinksOfADeadOneWithoutEntry) {
    add(a);
    drop("i5.userns");
    RecoveryReport report = recover_with({5});
    EXPECT_EQ(report.links_removed, 4u);
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(RecoverTest, RemovesLinksThatTheRecordDoesNotClaim) {
    add(a);
    link("i5.userns", "u589824.userns");
    link("i5.userns", "g61184.userns");
    link("i5.userns", "nb.userns");
    link("i5.userns", "o1000.owns/i6.userns");
    std::filesystem::create_directory(scratch.registry() / "o1001.owns");
    link("i5.userns", "o1001.owns/i5.userns");
    EXPECT_EQ(recover_with({}).links_removed, 5u);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(RecoverTest, LetsTheFirstOfTwoClaimantsKeepARange) {
    add(a);
    scratch.write("i6.userns", format_registration(transient(6, "b", 524288)));
    RecoveryReport report = recover_with({});
    EXPECT_EQ(report.kept, 2u);
    EXPECT_EQ(report.links_in_doubt, 2u);
    EXPECT_EQ(store.find_by_start(Uid(524288)).value(), a);
    EXPECT_EQ(scratch.stat("nb.userns").st_ino, scratch.stat("i6.userns").st_ino);
    // And the loser's death takes nothing from the winner.
    recover_with({6});
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(RecoverTest, KeepsARangeOfALiveOneThatHasAnotherRecordToo) {
    add(a);
    scratch.write("u589824.userns", format_registration(transient(5, "x", 589824)));
    EXPECT_EQ(recover_with({}).links_in_doubt, 1u);
    EXPECT_EQ(store.range_taken(Uid(589824)).value(), Taken::kTaken);
    recover_with({5});
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(RecoverTest, SetsABrokenEntryAsideAndKeepsItsRangeTaken) {
    add(a);
    scratch.write("i5.userns", "{\"owner\":");
    RecoveryReport report = recover_with({5});
    EXPECT_EQ(report.broken, 1u);
    EXPECT_EQ(report.links_in_doubt, 3u);
    EXPECT_EQ(scratch.files(), (std::set<std::string>{"na.userns", "u524288.userns", "g524288.userns"}));
    EXPECT_TRUE(std::filesystem::exists(scratch.state() / "broken" / "i5.userns"));
    EXPECT_EQ(store.owned(Uid(1000))->size(), 0u);
    // The same at the next start.
    EXPECT_EQ(recover_with({5}).links_in_doubt, 3u);
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken);
}

TEST_F(RecoverTest, RemovesEmptyOwnerDirectoriesOnly) {
    std::filesystem::create_directory(scratch.registry() / "o7.owns");
    std::filesystem::create_directory(scratch.registry() / "o8.owns");
    scratch.write("o8.owns/something", "");
    EXPECT_EQ(recover_with({}).unknown_files, 1u);
    EXPECT_EQ(scratch.files(), (std::set<std::string>{"o8.owns", "o8.owns/something"}));
}

TEST_F(RecoverTest, LeavesFilesAloneThatAreNotOurs) {
    for (auto file : {".#i5.userns1234", "i5.userns.tmp", "README", "i007.userns"}) scratch.write(file, "x");
    auto before = scratch.files();
    EXPECT_EQ(recover_with({}).unknown_files, 4u);
    EXPECT_EQ(scratch.files(), before);
}

TEST_F(RecoverTest, LeavesABrokenDelegationTaken) {
    scratch.write("u720896.delegate", "broken");
    recover_with({});
    EXPECT_EQ(scratch.files(), std::set<std::string>{"u720896.delegate"});
    EXPECT_EQ(store.range_taken(Uid(720896)).value(), Taken::kTaken);
}

TEST_F(RecoverTest, FreesADelegatedRangeThatNobodyHolds) {
    scratch.write("u655360.delegate", R"({"userns":5,"start":655360,"startGid":655360,"size":65536})");
    link("u655360.delegate", "g655360.delegate");
    recover_with({});
    EXPECT_TRUE(scratch.files().empty());
}

TEST_F(RecoverTest, HonoursAnEntryOfAnotherImplementation) {
    scratch.write(
        "i5.userns",
        R"({"owner":0,"name":"a","userns":5,"size":65536,"start":524288,"target":0,"cgroups":[9],"new":{"x":1}})");
    EXPECT_EQ(recover_with({}).kept, 1u);
    auto found = store.find_by_start(Uid(524288)).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->cgroups, std::vector{CgroupId(9)});
    EXPECT_EQ(found->unknown_fields.size(), 1u);
}

/// The system is short of something while records are read.
class ShortageTest : public RecoverTest {
protected:
    static constexpr int kAlways = 1000;
    void fail_to_open(const std::string& file, int code, int times = kAlways) { FailingOpen::begin(file, code, times); }
    std::set<std::string> files_after_recovery(const std::set<uint64_t>& dead) {
        report = recover_with(dead);
        FailingOpen::end();
        return scratch.files();
    }

    FailingOpen open;
    RecoveryReport report;
};

TEST_F(ShortageTest, TriesAgainAtOnce) {
    add(a);
    fail_to_open("i5.userns", EMFILE, 2);
    EXPECT_EQ(files_after_recovery({}), kFilesOfA);
    EXPECT_EQ(report.kept, 1u);
    EXPECT_TRUE(report.is_complete());
}

TEST_F(ShortageTest, TouchesNoLinkOfAnEntryThatIsNotRead) {
    for (int code : {EMFILE, ENFILE, ENOMEM, EIO, EINTR}) {
        add(a);
        fail_to_open("i5.userns", code, 3);
        EXPECT_EQ(files_after_recovery({}), kFilesOfA) << code;
        EXPECT_EQ(report.unread, std::vector{NsInode(5)});
        EXPECT_EQ(report.broken + report.kept + report.links_removed + report.links_made, 0u);
        EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken);
        EXPECT_EQ(scratch.stat("i5.userns").st_nlink, 5u);
        // What is dead goes as soon as that can be told.
        EXPECT_TRUE(files_after_recovery({5}).empty());
        EXPECT_TRUE(report.is_complete());
    }
}

TEST_F(ShortageTest, KeepsOlderLinksOfAnEntryThatIsNotRead) {
    add(a);
    drop("u524288.userns");
    scratch.write("u524288.userns", format_registration(a));
    fail_to_open("i5.userns", EMFILE, 3);
    // It may have more to release than its older record says.
    EXPECT_EQ(files_after_recovery({5}), kFilesOfA);
    EXPECT_EQ(report.unread, std::vector{NsInode(5)});
}

TEST_F(ShortageTest, KeepsALinkThatIsNotRead) {
    add(a);
    drop("i5.userns");
    auto before = scratch.files();
    for (const char* link : {"na.userns", "u524288.userns", "g524288.userns"}) fail_to_open(link, EIO);
    before.erase("o1000.owns/i5.userns");  // holds nothing
    before.erase("o1000.owns");
    EXPECT_EQ(files_after_recovery({5}), before);
    EXPECT_EQ(report.unread_links, 3u);
    EXPECT_EQ(report.links_in_doubt, 0u);
    EXPECT_FALSE(report.is_complete());
}

TEST_F(ShortageTest, KeepsADelegationThatIsNotRead) {
    scratch.write("u655360.delegate", R"({"userns":5,"start":655360,"startGid":655360,"size":65536})");
    link("u655360.delegate", "g655360.delegate");
    auto before = scratch.files();
    fail_to_open("u655360.delegate", ENFILE);
    EXPECT_EQ(files_after_recovery({}), before);
    EXPECT_EQ(report.unread_delegations, std::vector{Uid(655360)});
    EXPECT_TRUE(files_after_recovery({}).empty());
    EXPECT_TRUE(report.is_complete());
}

TEST_F(ShortageTest, KeepsADelegationWhoseHolderIsNotRead) {
    add(with_delegates(a, {655360}));
    auto before = scratch.files();
    fail_to_open("i5.userns", ENOMEM);
    EXPECT_EQ(files_after_recovery({}), before);
    EXPECT_EQ(report.unread_delegations, std::vector{Uid(655360)});
}

TEST_F(ShortageTest, CallsABrokenDelegationNothingThatMayBeReadLater) {
    scratch.write("u720896.delegate", "broken");
    files_after_recovery({});
    EXPECT_TRUE(report.is_complete());
}

}  // namespace
}  // namespace nsr::registry
