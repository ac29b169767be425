// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/taken_map.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/sys.h"

namespace nsr::ranges {
namespace {

class TakenMapTest : public ::testing::Test {
protected:
    TakenMapTest() {
        std::string path = "/tmp/nsr-taken-XXXXXX";
        if (::mkdtemp(path.data())) path_ = path;
        dir_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    ~TakenMapTest() override { std::filesystem::remove_all(path_); }

    std::filesystem::path path_;
    UniqueFd dir_;
};

TEST_F(TakenMapTest, IsSharedByAllWhoOpenIt) {
    auto one = TakenMap::open(dir_.borrow());
    ASSERT_TRUE(one);
    one->set(kContainerPool.start_of(kContainerPool.count() - 1));
    one->set(kDynamicPool.start_of(0));
    pid_t child = fork();
    if (child == 0) {
        auto other = TakenMap::open(dir_.borrow());
        other->clear(kDynamicPool.start_of(0));
        other->set(kDynamicPool.start_of(kDynamicPool.count() - 1));
        _exit(other->snapshot(kContainerPool).test(kContainerPool.count() - 1) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(one->snapshot(kContainerPool).count(), 1u);
    Bitmap dynamic = one->snapshot(kDynamicPool);
    EXPECT_EQ(dynamic.count(), 1u);
    EXPECT_TRUE(dynamic.test(kDynamicPool.count() - 1));
}

TEST_F(TakenMapTest, PassesOverWhatIsNoRange) {
    auto map = TakenMap::open(dir_.borrow());
    ASSERT_TRUE(map);
    for (uint32_t id : {0u, 1000u, 524289u, 65520u, 4294967294u}) map->set(Uid(id));
    EXPECT_EQ(map->snapshot(kContainerPool).count() + map->snapshot(kDynamicPool).count(), 0u);
}

TEST_F(TakenMapTest, KeepsWhatIsHeld) {
    Uid first = kContainerPool.start_of(3), second = kDynamicPool.start_of(5);
    {
        auto map = TakenMap::open(dir_.borrow());
        ASSERT_TRUE(map);
        EXPECT_FALSE(map->holds_any());
        map->set(first);
        map->set(second);
        map->hold();
        map->clear(first);
        map->rebuild({});
    }
    auto map = TakenMap::open(dir_.borrow());
    ASSERT_TRUE(map);
    EXPECT_TRUE(map->holds_any());
    EXPECT_TRUE(map->is_set(first) && map->is_set(second));
    EXPECT_FALSE(map->is_set(kContainerPool.start_of(4)));
    EXPECT_TRUE(map->snapshot(kContainerPool).test(3));
    EXPECT_EQ(map->starts(), (std::vector{first, second}));
}

TEST_F(TakenMapTest, TakesOverTheFileOfAnEarlierVersion) {
    std::ofstream(path_ / "taken") << std::string(4125, '\x01');
    auto map = TakenMap::open(dir_.borrow());
    ASSERT_TRUE(map);
    EXPECT_TRUE(map->is_set(kContainerPool.start_of(8)));
    EXPECT_FALSE(map->holds_any());
}

TEST_F(TakenMapTest, IsRebuilt) {
    auto map = TakenMap::open(dir_.borrow());
    ASSERT_TRUE(map);
    map->set(kContainerPool.start_of(7));
    const Uid starts[] = {kContainerPool.start_of(9)};
    map->rebuild(starts);
    EXPECT_EQ(map->snapshot(kContainerPool).count(), 1u);
    EXPECT_TRUE(map->snapshot(kContainerPool).test(9));
}

// As a crash, or a copy of the directory, can leave it.
TEST_F(TakenMapTest, HasAllPagesBeforeItIsUsed) {
    ASSERT_TRUE(TakenMap::open(dir_.borrow()));
    auto size = static_cast<off_t>(std::filesystem::file_size(path_ / "taken"));
    ASSERT_EQ(truncate((path_ / "taken").c_str(), 0), 0);
    ASSERT_EQ(truncate((path_ / "taken").c_str(), size), 0);
    ASSERT_EQ(sys::stat_target((path_ / "taken").string())->st_blocks, 0);
    ASSERT_TRUE(TakenMap::open(dir_.borrow()));
    EXPECT_GE(sys::stat_target((path_ / "taken").string())->st_blocks * 512, size);
}

TEST_F(TakenMapTest, RefusesAnotherFile) {
    std::ofstream(path_ / "taken") << "something else";
    auto map = TakenMap::open(dir_.borrow());
    ASSERT_FALSE(map);
    EXPECT_EQ(map.error().code(), EBADMSG);
    std::filesystem::remove(path_ / "taken");
    std::filesystem::create_symlink("/etc/passwd", path_ / "taken");
    EXPECT_FALSE(TakenMap::open(dir_.borrow()));
}

}  // namespace
}  // namespace nsr::ranges
