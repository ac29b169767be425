// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/id_file.h"

#include <thread>

#include "ranges_scratch.h"

namespace nsr::ranges {
namespace {

using Format = IdTable::Format;

bool has(const IdTable& table, uint32_t id) { return table.overlaps({id, id}); }

TEST(IdTable, ReadsAccounts) {
    auto users = IdTable::parse("root:x:0:0:root:/root:/bin/sh\nns-a-0:x:70000:70001::/:\nalice:x:1000:1000::/:",
                                Format::kUsers);
    EXPECT_TRUE(has(users, 0));
    EXPECT_TRUE(has(users, 70000));
    EXPECT_TRUE(has(users, 70001)) << "a primary group";
    EXPECT_TRUE(has(users, 1000));
    EXPECT_FALSE(has(users, 1));
    EXPECT_TRUE(users.has_account("ns-a-0"));
    EXPECT_FALSE(users.has_account("ns-a-1"));
    auto groups = IdTable::parse("wheel:x:10:77,78\nnumbers:x:11:79\n", Format::kGroups);
    EXPECT_TRUE(has(groups, 10));
    EXPECT_TRUE(has(groups, 11));
    EXPECT_FALSE(has(groups, 79)) << "a member's name is no id";
}

TEST(IdTable, ReadsSubordinates) {
    auto table = IdTable::parse("alice:100000:65536\n1001:600000:10\n", Format::kSubordinates);
    EXPECT_FALSE(has(table, 99999));
    EXPECT_TRUE(has(table, 100000));
    EXPECT_TRUE(has(table, 165535));
    EXPECT_FALSE(has(table, 165536));
    EXPECT_TRUE(table.overlaps({524288 + 65536, 524288 + 2 * 65536 - 1})) << "in the middle of a range";
    EXPECT_TRUE(table.overlaps({0, 4294967294}));
    EXPECT_FALSE(table.overlaps({600010, 4294967294}));
}

TEST(IdTable, OverlappingLinesDoNotHideEachOther) {
    auto table = IdTable::parse("a:100:1000\nb:200:5\nc:150:2000\nd:5000:1\n", Format::kSubordinates);
    EXPECT_TRUE(has(table, 1500));
    EXPECT_TRUE(has(table, 2149));
    EXPECT_FALSE(has(table, 2150));
    EXPECT_TRUE(has(table, 5000));
}

TEST(IdTable, TooLargeNumbersEndAtTheLastId) {
    for (const char* count : {"4294967295", "4294967296", "18446744073709551615", "99999999999999999999999999"}) {
        auto table = IdTable::parse(fmt::format("a:524288:{}", count), Format::kSubordinates);
        EXPECT_TRUE(has(table, 524288));
        EXPECT_TRUE(has(table, 4294967294));
        EXPECT_FALSE(has(table, 524287));
    }
    for (const char* first : {"4294967295", "4294967296", "18446744073709551615", "99999999999999999999999999"})
        EXPECT_FALSE(
            IdTable::parse(fmt::format("a:{}:4294967295", first), Format::kSubordinates).overlaps({0, 4294967294}));
}

TEST(IdTable, JunkIsPassedOver) {
    std::string text = "#a:1:1\n:2:1\nb:-3:1\nc:4:-1\nd: 5:1\ne:6\nf::\n\n\xff\xfe:7x:1\ng:0x8:1\nh:9:0\n+::\n";
    text += std::string("\0:\0\0:1:\0\n", 9);
    EXPECT_FALSE(IdTable::parse(text, Format::kSubordinates).overlaps({0, 4294967294}));
    EXPECT_TRUE(has(IdTable::parse(text + "good:10:1:more:fields", Format::kSubordinates), 10));
    EXPECT_FALSE(IdTable::parse("+\n+@group::::::\n-x\na:x::\nb:x:-1:-1\n", Format::kUsers).overlaps({0, 4294967294}));
}

class IdFileTest : public Scratch {
protected:
    int error_of(IdFile& file) {
        auto table = file.current();
        return table ? 0 : table.error().code();
    }
    IdFile file_{path("subuid"), Format::kSubordinates};
};

TEST_F(IdFileTest, FollowsEveryChange) {
    EXPECT_FALSE(has(*file_.current().value(), 5)) << "an absent file is an empty one";
    EXPECT_FALSE(has(*file_.current().value(), 5));
    write("subuid", "a:5:1\n");
    EXPECT_TRUE(has(*file_.current().value(), 5));
    write("subuid", "a:6:1\n");  // same size, perhaps the same tick of the clock
    EXPECT_FALSE(has(*file_.current().value(), 5));
    EXPECT_TRUE(has(*file_.current().value(), 6));
    write("new", "a:7:1\n");
    std::filesystem::rename(path("new"), path("subuid"));
    EXPECT_TRUE(has(*file_.current().value(), 7));
    std::filesystem::remove(path("subuid"));
    EXPECT_FALSE(has(*file_.current().value(), 7));
}

TEST_F(IdFileTest, ASettledFileIsNotReadAgain) {
    write("subuid", "a:5:1\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    WatchedFile file(path("subuid"), 100);
    EXPECT_EQ(file.content_if_changed().value(), "a:5:1\n");
    EXPECT_EQ(file.content_if_changed().value(), std::nullopt);
    write("subuid", "a:6:1\n");
    EXPECT_EQ(file.content_if_changed().value(), "a:6:1\n");
}

TEST_F(IdFileTest, WhatCannotBeReadIsAnError) {
    write("subuid", "a:5:1\n");
    std::filesystem::resize_file(path("subuid"), IdFile::kMaxSize + 1);
    EXPECT_EQ(error_of(file_), EFBIG);
    EXPECT_EQ(error_of(file_), EFBIG) << "and stays one";
    std::filesystem::remove(path("subuid"));
    ASSERT_EQ(mkfifo(path("subuid").c_str(), 0600), 0);
    EXPECT_EQ(error_of(file_), EBADF);
    std::filesystem::remove(path("subuid"));
    std::filesystem::create_directory(path("subuid"));
    EXPECT_EQ(error_of(file_), EBADF);
    std::filesystem::remove(path("subuid"));
    std::filesystem::create_symlink("subuid", path("subuid"));
    EXPECT_EQ(error_of(file_), ELOOP);
    std::filesystem::remove(path("subuid"));
    write("elsewhere", "a:8:1\n");
    std::filesystem::create_symlink("elsewhere", path("subuid"));
    EXPECT_TRUE(has(*file_.current().value(), 8)) << "links of the administrator are followed";
}

}  // namespace
}  // namespace nsr::ranges
