// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/map_files.h"

#include <csignal>

#include "namespaces_scratch.h"

namespace nsr::namespaces {
namespace {

MapFiles open_maps(const UserNamespace& target, const UserNamespace& parent,
                   MapFiles::Setgroups setgroups = MapFiles::Setgroups::kLeftAlone) {
    auto own = UserNamespace::own();
    auto files = MapFiles::open(target, parent, *own, setgroups);
    EXPECT_TRUE(files) << files.error().what();
    return std::move(*files);
}

TEST(MapFiles, WritesBothMapsFromTheOwnNamespace) {
    NEEDS_ROOT();
    auto own = UserNamespace::own();
    auto target = make_namespace();
    auto files = open_maps(target, *own);
    EXPECT_TRUE(files.uid_map()->empty());
    const IdMap map{{0, 524288, 65536}, {589824, 589824, 65536}};
    ASSERT_TRUE(files.write_gid_map(map));
    ASSERT_TRUE(files.write_uid_map(map));
    EXPECT_EQ(*files.uid_map(), map);
    EXPECT_EQ(*files.gid_map(), map);
    auto again = open_maps(target, *own).write_uid_map(map);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), EPERM);
}

TEST(MapFiles, WritesTheMapsOfANestedNamespace) {
    NEEDS_ROOT();
    auto own = UserNamespace::own();
    auto parent = make_namespace();
    auto files = open_maps(parent, *own);
    const IdMap outer{{0, 524288, 65536}, {589824, 589824, 65536}};
    ASSERT_TRUE(files.write_gid_map(outer));
    ASSERT_TRUE(files.write_uid_map(outer));
    auto child = make_namespace(&parent);
    EXPECT_EQ(child.parent()->identity(), parent.identity());
    auto inner = open_maps(child, parent);
    const IdMap map{{0, 589824, 65536}};
    EXPECT_FALSE(inner.write_uid_map({{0, 700000, 65536}})) << "the namespace above does not map these";
    ASSERT_TRUE(inner.write_gid_map(map));
    ASSERT_TRUE(inner.write_uid_map(map));
    EXPECT_EQ(*inner.uid_map(), map);
}

TEST(MapFiles, DenyingSetgroupsStays) {
    NEEDS_ROOT();
    auto own = UserNamespace::own();
    auto target = make_namespace();
    auto files = open_maps(target, *own, MapFiles::Setgroups::kWillBeDenied);
    ASSERT_TRUE(files.deny_setgroups());
    ASSERT_TRUE(files.write_gid_map({{0, 1000, 1}}));
    EXPECT_FALSE(files.deny_setgroups()) << "no change once the gid map is there";
}

TEST(UserNamespace, RefusesWhatIsNone) {
    for (const char* path : {"/etc/passwd", "/", "/dev/null", "/proc/self/ns/net", "/proc/self/ns/mnt"}) {
        auto fd = sys::open_at(sys::kCwd, path, O_RDONLY);
        ASSERT_TRUE(fd);
        EXPECT_FALSE(UserNamespace::from_descriptor(std::move(*fd))) << path;
    }
}

TEST(UserNamespace, RefusesUnusualOpenFlags) {
    for (int flags : {O_PATH, O_RDONLY | O_NONBLOCK, O_RDONLY | O_APPEND}) {
        auto fd = sys::open_at(sys::kCwd, "/proc/self/ns/user", flags);
        ASSERT_TRUE(fd);
        auto refused = UserNamespace::from_descriptor(std::move(*fd));
        ASSERT_FALSE(refused) << flags;
        EXPECT_EQ(refused.error().code(), EREMOTEIO) << flags;
    }
}

TEST(UserNamespace, KnowsOwnerAndParent) {
    NEEDS_ROOT();
    auto target = make_namespace();
    EXPECT_EQ(*target.owner(), Uid(0));
    EXPECT_EQ(target.parent()->identity(), UserNamespace::own()->identity());
}

TEST(IdMap, ParsesWhatTheKernelPrints) {
    EXPECT_EQ(*parse_id_map("         0     524288      65536\n     65536 700000 1\n"),
              (IdMap{{0, 524288, 65536}, {65536, 700000, 1}}));
    EXPECT_TRUE(parse_id_map("")->empty());
}

TEST(IdMap, SeesLinesThatMeet) {
    EXPECT_FALSE(has_overlap({{0, 524288, 65536}, {65536, 589824, 65536}}));
    EXPECT_TRUE(has_overlap({{0, 524288, 65536}, {65535, 700000, 1}})) << "inside";
    EXPECT_TRUE(has_overlap({{0, 1000, 1}, {5, 990, 11}})) << "outside";
    EXPECT_TRUE(has_overlap({{4294901760, 0, 65535}, {4294967294, 100000, 1}})) << "at the very end";
}

TEST(IdMap, RefusesGarbage) {
    for (const char* text : {"0 1\n", "0 1 2", "0 1 2 3\n", "a b c\n", "0 0 4294967296\n", "\n", "-1 0 1\n"})
        EXPECT_FALSE(parse_id_map(text)) << text;
}

}  // namespace
}  // namespace nsr::namespaces
