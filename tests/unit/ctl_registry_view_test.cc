// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/registry_view.h"

#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace nsr::ctl {
namespace {

namespace fs = std::filesystem;

class RegistryViewTest : public testing::Test {
protected:
    RegistryViewTest() {
        std::string pattern = (fs::temp_directory_path() / "ctl-view-XXXXXX").string();
        base_ = ::mkdtemp(pattern.data());
        fs::create_directories(registry());
    }
    ~RegistryViewTest() override { fs::remove_all(base_); }

    fs::path registry() const { return base_ / "nsresource/registry"; }
    Setting setting() const { return {.socket = (base_ / "socket").string()}; }
    void write(const std::string& file, const std::string& text) const { std::ofstream(registry() / file) << text; }
    void add_range(uint64_t inode, const std::string& name, uint32_t start, uint32_t size) const {
        write(fmt::format("i{}.userns", inode),
              fmt::format(R"({{"owner":1000,"name":"{}","userns":{},"size":{},"start":{},"target":0}})", name, inode,
                          size, start));
        for (const auto& link : {fmt::format("n{}.userns", name), fmt::format("u{}.userns", start)})
            fs::create_hard_link(registry() / fmt::format("i{}.userns", inode), registry() / link);
    }
    RegistryView view() const { return *RegistryView::open(setting()); }

    fs::path base_;
};

TEST_F(RegistryViewTest, SaysWhereThereIsNoRegistry) {
    fs::remove_all(base_ / "nsresource");
    auto opened = RegistryView::open(setting());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), ENOENT);
    EXPECT_NE(opened.error().what().find("start nsresourced"), std::string::npos);
}

TEST_F(RegistryViewTest, ListsSortedByName) {
    add_range(11, "zebra", 524288, 65536);
    add_range(12, "ape", 61184, 1);
    write("lock", "");
    fs::create_directory(registry() / "o1000.owns");
    auto all = view().all();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 2U);
    EXPECT_EQ(all->at(0).name, "ape");
    EXPECT_EQ(all->at(1).name, "zebra");
}

TEST_F(RegistryViewTest, OneBrokenEntryDoesNotHideTheOthers) {
    add_range(11, "good", 524288, 65536);
    write("i12.userns", "{\"owner\":");
    write("i13.userns", R"({"owner":1000,"name":"liar","userns":14})");
    fs::create_symlink("/etc/passwd", registry() / "i15.userns");
    ASSERT_EQ(::mkfifo((registry() / "i16.userns").c_str(), 0600), 0);
    fs::create_directory(registry() / "i17.userns");
    write("ix.userns", "{}");
    write("i.userns", "{}");
    auto all = view().all();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 1U);
    EXPECT_EQ(all->at(0).name, "good");
}

TEST_F(RegistryViewTest, FindsByEachUidOfTheRangeAndNoOther) {
    add_range(11, "big", 589824, 65536);
    add_range(12, "small", 61200, 1);
    for (uint32_t uid : {589824U, 600000U, 655359U}) {
        auto found = view().find_by_uid(Uid(uid));
        ASSERT_TRUE(found && *found) << uid;
        EXPECT_EQ((*found)->name, "big");
    }
    EXPECT_EQ((*view().find_by_uid(Uid(61200)))->name, "small");
    for (uint32_t uid : {0U, 589823U, 655360U, 61199U, 61201U, 4294967294U}) {
        auto found = view().find_by_uid(Uid(uid));
        ASSERT_TRUE(found) << uid;
        EXPECT_FALSE(*found) << uid;
    }
}

TEST_F(RegistryViewTest, FindsByNameAndLeavesTheDirectoryForNobody) {
    add_range(11, "foo", 524288, 65536);
    std::ofstream(base_ / "nsresource/n.userns") << "{}";
    EXPECT_EQ((*view().find_by_name("foo"))->userns.inode, NsInode(11));
    for (const char* name : {"bar", "", "..", "/../n", "x/../../n", "foo.userns"}) {
        auto found = view().find_by_name(name);
        ASSERT_TRUE(found) << name;
        EXPECT_FALSE(*found) << name;
    }
}

TEST_F(RegistryViewTest, AWrongLinkIsAnError) {
    add_range(11, "foo", 524288, 65536);
    fs::create_hard_link(registry() / "i11.userns", registry() / "nbar.userns");
    auto found = view().find_by_name("bar");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), EBADMSG);
    // A link at a start that is not its own says nothing about that uid.
    fs::create_hard_link(registry() / "i11.userns", registry() / "u61200.userns");
    EXPECT_FALSE(*view().find_by_uid(Uid(61200)));
}

TEST_F(RegistryViewTest, ReadsDelegationsThatAreWhatTheirNamesSay) {
    write("u589824.delegate", R"({"userns":11,"start":589824,"startGid":589824,"size":65536})");
    write("u655360.delegate", R"({"userns":12,"start":655360,"size":65536,"ancestorUserns":[11]})");
    write("u720896.delegate", R"({"userns":12,"start":655360,"size":65536})");  // of another range
    write("u786432.delegate", "{");
    auto all = view().delegations();
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 2U);
    auto one = view().delegation_at(Uid(655360));
    ASSERT_TRUE(one && *one);
    EXPECT_EQ((*one)->userns, NsInode(12));
    EXPECT_EQ((*one)->ancestors, std::vector{NsInode(11)});
    EXPECT_FALSE(*view().delegation_at(Uid(851968)));
    EXPECT_FALSE(view().delegation_at(Uid(720896)));
}

TEST_F(RegistryViewTest, FindsByInode) {
    add_range(11, "foo", 524288, 65536);
    EXPECT_EQ((*view().find_by_inode(NsInode(11)))->name, "foo");
    EXPECT_FALSE(*view().find_by_inode(NsInode(12)));
}

TEST(Describe, TypesAndRanges) {
    registry::Registration r;
    EXPECT_EQ(type_of(r), "registered");
    EXPECT_EQ(range_of(r), "-");
    r.range = {.size = 65536, .start = Uid(524288), .target = 0, .start_gid = Gid(524288), .target_gid = 0};
    EXPECT_EQ(type_of(r), "managed");
    EXPECT_EQ(range_of(r), "524288-589823");
    r.range = {.size = 1, .start = Uid(1000), .target = 0, .start_gid = Gid(1000), .target_gid = 0};
    r.setgroups = registry::Registration::Setgroups::kDenied;
    EXPECT_EQ(type_of(r), "self");
    EXPECT_EQ(range_of(r), "1000");
}

}  // namespace
}  // namespace nsr::ctl
