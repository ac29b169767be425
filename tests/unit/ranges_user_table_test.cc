// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/user_table.h"

#include <sys/wait.h>
#include <unistd.h>
#include <map>
#include <random>

#include "ranges/user_counts.h"
#include "ranges_scratch.h"

namespace nsr::ranges {
namespace {

class UserTableTest : public Scratch {
protected:
    UserTable make(std::span<const uint32_t> marks = {}) { return UserTable::make(dir_.borrow(), marks).value(); }

    UniqueFd dir_ = directory("run");
};

constexpr Uid kAnna{1000}, kBerta{1001};
constexpr Uid kRange = kContainerPool.start_of(7);
constexpr Uid kSingle = kDynamicPool.start_of(3);

TEST_F(UserTableTest, UidInNoRangeIsItself) {
    auto users = make();
    for (uint32_t uid : {0u, 1000u, 61184u, 524288u, 2147352575u, 2147418112u, 4294967294u})
        EXPECT_EQ(users.user_of(Uid(uid)), Uid(uid));
}

TEST_F(UserTableTest, IdsOfARangeAreTheUserWhoGotIt) {
    auto users = make();
    users.assign(kRange, kAnna);
    users.assign(kSingle, Uid(0));
    EXPECT_EQ(users.user_of(kRange), kAnna);
    EXPECT_EQ(users.user_of(Uid(kRange.value + 65535)), kAnna);
    EXPECT_EQ(users.user_of(Uid(kRange.value + 65536)), Uid(kRange.value + 65536));
    EXPECT_EQ(users.user_of(Uid(kRange.value - 1)), Uid(kRange.value - 1));
    EXPECT_EQ(users.user_of(kSingle), Uid(0));
    EXPECT_EQ(users.knowledge_of(kSingle), UserTable::Knowledge::kKnown);
    users.assign(kRange, kBerta);
    EXPECT_EQ(users.user_of(kRange), kBerta);
    users.forget(kRange);
    EXPECT_EQ(users.user_of(kRange), kRange);
    EXPECT_EQ(users.knowledge_of(kRange), UserTable::Knowledge::kUnknown);
}

TEST_F(UserTableTest, HasAllPagesBeforeItIsUsed) {
    make();
    auto size = static_cast<off_t>(std::filesystem::file_size(path("run/users")));
    ASSERT_EQ(truncate(path("run/users").c_str(), 0), 0);
    ASSERT_EQ(truncate(path("run/users").c_str(), size), 0);
    ASSERT_TRUE(UserTable::open(dir_.borrow()));
    EXPECT_GE(sys::stat_target(path("run/users"))->st_blocks * 512, size);
}

TEST_F(UserTableTest, ForeignIdsAreOneUser) {
    auto users = make();
    for (uint32_t uid : {2147352576u, 2147352577u, 2147418111u})
        EXPECT_EQ(users.user_of(Uid(uid)), UserTable::kForeignUser);
}

TEST_F(UserTableTest, PassesOverWhatBeginsNoRange) {
    auto users = make();
    for (uint32_t id : {0u, 1000u, 524289u, 65520u, 4294967294u}) {
        users.assign(Uid(id), kAnna);
        users.forget(Uid(id));
        EXPECT_EQ(users.knowledge_of(Uid(id)), UserTable::Knowledge::kUnknown);
    }
    EXPECT_EQ(users.count_ranges(kContainerPool, kAnna) + users.count_ranges(kDynamicPool, kAnna), 0u);
}

TEST_F(UserTableTest, CountsRangesOfEachPool) {
    auto users = make();
    for (uint32_t index : {0u, 7u, kContainerPool.count() - 1}) users.assign(kContainerPool.start_of(index), kAnna);
    for (uint32_t index : {0u, kDynamicPool.count() - 1}) users.assign(kDynamicPool.start_of(index), kAnna);
    users.assign(kContainerPool.start_of(8), kBerta);
    EXPECT_EQ(users.count_ranges(kContainerPool, kAnna), 3u);
    EXPECT_EQ(users.count_ranges(kDynamicPool, kAnna), 2u);
    EXPECT_EQ(users.count_ranges(kContainerPool, kBerta), 1u);
    Bitmap among(kContainerPool.count());
    among.set(7);
    among.set(8);
    EXPECT_EQ(users.count_ranges(kContainerPool, kAnna, among), 1u);
}

TEST_F(UserTableTest, IsSharedByAllWhoOpenIt) {
    auto users = make();
    pid_t child = fork();
    if (child == 0) {
        auto other = UserTable::open(dir_.borrow());
        other->assign(kRange, kAnna);
        _exit(other->add_registration(kAnna) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(users.user_of(kRange), kAnna);
    EXPECT_EQ(users.count_registrations(kAnna), 1u);
    auto reader = UserTable::open_for_reading(dir_.borrow());
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->user_of(kRange), kAnna);
}

TEST_F(UserTableTest, AllCanReadAndOnlyRootCanWrite) {
    auto users = make();
    EXPECT_EQ(sys::stat_at(dir_.borrow(), "users")->st_mode & 07777, 0644u);
}

// A full tmpfs would otherwise kill the process that writes to a page first.
TEST_F(UserTableTest, HasAllItsMemoryFromTheStart) {
    auto users = make();
    auto st = sys::stat_at(dir_.borrow(), "users").value();
    EXPECT_GE(st.st_blocks * 512, st.st_size);
}

TEST_F(UserTableTest, KeepsTheMarksOfACopy) {
    std::vector<uint32_t> marks;
    {
        auto users = make();
        users.assign(kRange, kAnna);
        users.assign(kSingle, Uid(0));
        marks = users.marks();
        ASSERT_TRUE(users.add_registration(kAnna));
    }
    auto users = make(marks);
    EXPECT_EQ(users.user_of(kRange), kAnna);
    EXPECT_EQ(users.user_of(kSingle), Uid(0));
    EXPECT_EQ(users.count_registrations(kAnna), 0u);
}

TEST_F(UserTableTest, RefusesAnotherFile) {
    EXPECT_EQ(UserTable::open(dir_.borrow()).error().code(), ENOENT);
    write("run/users", "something else");
    EXPECT_EQ(UserTable::open(dir_.borrow()).error().code(), EBADMSG);
    std::filesystem::remove(path("run/users"));
    std::filesystem::create_symlink("/etc/passwd", path("run/users"));
    EXPECT_EQ(UserTable::open(dir_.borrow()).error().code(), ELOOP);
}

// The maker of a file that is too short was killed; anything else is for people to look at.
TEST_F(UserTableTest, IsMadeInPlaceOfWhatIsThere) {
    write("run/users", "short");
    make();
    EXPECT_FALSE(std::filesystem::exists(path("run/users.damaged")));
    write("run/users", std::string(1 << 20, 'x'));
    make();
    EXPECT_EQ(std::filesystem::file_size(path("run/users.damaged")), 1u << 20);
    std::filesystem::remove(path("run/users"));
    std::filesystem::create_directory(path("run/users"));
    std::filesystem::remove(path("run/users.damaged"));
    make();
    EXPECT_TRUE(std::filesystem::is_directory(path("run/users.damaged")));
    EXPECT_TRUE(UserTable::open(dir_.borrow()));
}

TEST_F(UserTableTest, RebuildsCounts) {
    auto users = make();
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(users.add_registration(kAnna));
    ASSERT_TRUE(users.add_registration(Uid(4294967294)));
    EXPECT_EQ(users.count_registrations(kAnna), 300u);
    const UserTable::Count counts[] = {{kBerta, 5}, {Uid(0), 1}};
    ASSERT_TRUE(users.rebuild_counts(counts));
    EXPECT_EQ(users.count_registrations(kAnna), 0u);
    EXPECT_EQ(users.count_registrations(kBerta), 5u);
    users.remove_registration(Uid(0));
    users.remove_registration(Uid(0));
    EXPECT_EQ(users.count_registrations(Uid(0)), 0u);
    EXPECT_EQ(users.count_registrations(kBerta), 5u);
}

TEST_F(UserTableTest, GivesOneTurnASecond) {
    auto users = make();
    EXPECT_EQ(users.take_turn(5'000'000), UserTable::Turn::kOurs);
    EXPECT_EQ(users.take_turn(5'999'999), UserTable::Turn::kNot);
    EXPECT_EQ(users.take_turn(6'000'000), UserTable::Turn::kOurs);
    EXPECT_EQ(users.take_turn(1'000), UserTable::Turn::kOurs);  // of another boot
}

class UserCountsTest : public ::testing::Test {
protected:
    void expect_same(const std::map<uint32_t, uint32_t>& model, std::span<const uint32_t> users) {
        for (uint32_t user : users) {
            auto found = model.find(user);
            ASSERT_EQ(counts_.get(Uid(user)), found == model.end() ? 0 : found->second) << user;
        }
    }

    std::vector<uint64_t> memory_ = std::vector<uint64_t>(UserCounts::kSlots);
    UserCounts counts_{std::as_writable_bytes(std::span(memory_))};
};

// Users whose places are the same, or at the end of the table, so that removal has much to move.
TEST_F(UserCountsTest, AgreeWithAMap) {
    std::vector<uint32_t> users;
    constexpr uint32_t kSlots = UserCounts::kSlots;
    for (uint32_t i = 0; i < 24; ++i) users.push_back(i / 8 * kSlots + kSlots - 4 + i % 8);
    std::map<uint32_t, uint32_t> model;
    std::mt19937 random(4711);
    for (int step = 0; step < 20000; ++step) {
        uint32_t user = users[random() % users.size()];
        if (random() % 2 == 0) {
            ASSERT_TRUE(counts_.add(Uid(user), 1));
            ++model[user];
        } else if (model.contains(user)) {
            counts_.remove(Uid(user));
            if (--model[user] == 0) model.erase(user);
        }
        expect_same(model, users);
    }
    for (auto& [user, number] : model)
        while (number-- > 0) counts_.remove(Uid(user));
    EXPECT_EQ(memory_, std::vector<uint64_t>(kSlots));
}

TEST_F(UserCountsTest, HaveABound) {
    for (uint32_t i = 0; i < UserCounts::kSlots; ++i) ASSERT_TRUE(counts_.add(Uid(i * 3), 1));
    EXPECT_EQ(counts_.add(Uid(1), 1).error().code(), ENOSPC);
    EXPECT_TRUE(counts_.add(Uid(3), 1));
    EXPECT_EQ(counts_.get(Uid(1)), 0u);
    counts_.remove(Uid(6));
    EXPECT_TRUE(counts_.add(Uid(1), 1));
    for (uint32_t i = 0; i < UserCounts::kSlots; i += 1000)
        EXPECT_EQ(counts_.get(Uid(i * 3)), i * 3 == 3 ? 2u : i * 3 == 6 ? 0u : 1u);
    counts_.clear();
    EXPECT_EQ(memory_, std::vector<uint64_t>(UserCounts::kSlots));
}

}  // namespace
}  // namespace nsr::ranges
