// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/user_copy.h"

#include <sys/stat.h>

#include "ranges_scratch.h"

namespace nsr::ranges {
namespace {

class UserCopyTest : public Scratch {
protected:
    UserCopyTest() {
        users_->assign(kContainerPool.start_of(7), Uid(1000));
        users_->assign(kDynamicPool.start_of(3), Uid(0));
    }

    UniqueFd run_ = directory("run"), state_ = directory("state");
    Result<UserTable> users_ = UserTable::make(run_.borrow(), {});
};

TEST_F(UserCopyTest, ComesBack) {
    EXPECT_TRUE(load_users(state_.borrow())->empty());
    ASSERT_TRUE(save_users(*users_, state_.borrow()));
    users_->assign(kContainerPool.start_of(8), Uid(1000));
    ASSERT_TRUE(save_users(*users_, state_.borrow()));
    EXPECT_EQ(load_users(state_.borrow()).value(), users_->marks());
    EXPECT_FALSE(std::filesystem::exists(path("state/users.new")));
    EXPECT_EQ(sys::stat_at(state_.borrow(), "users")->st_mode & 07777, 0600u);
}

TEST_F(UserCopyTest, TakesOverWhatAKilledOneLeft) {
    write("state/users.new", std::string(1 << 20, 'x'));
    ASSERT_TRUE(save_users(*users_, state_.borrow()));
    EXPECT_EQ(load_users(state_.borrow()).value(), users_->marks());
}

TEST_F(UserCopyTest, IsSetAsideIfItIsDamaged) {
    ASSERT_TRUE(save_users(*users_, state_.borrow()));
    std::string good = sys::read_file_at(state_.borrow(), "users", 1 << 20).value();
    std::string flipped = good;
    flipped[50000] = static_cast<char>(flipped[50000] ^ 1);
    for (const std::string& content : {std::string(), good.substr(1), good + "x", "x" + good.substr(1), flipped}) {
        std::filesystem::remove(path("state/users.damaged"));
        write("state/users", content);
        auto loaded = load_users(state_.borrow());
        ASSERT_TRUE(loaded);
        EXPECT_TRUE(loaded->empty());
        EXPECT_FALSE(std::filesystem::exists(path("state/users")));
        EXPECT_EQ(std::filesystem::file_size(path("state/users.damaged")), content.size());
    }
}

TEST_F(UserCopyTest, IsSetAsideIfOthersMayWriteToIt) {
    ASSERT_TRUE(save_users(*users_, state_.borrow()));
    ASSERT_EQ(chmod(path("state/users").c_str(), 0666), 0);
    EXPECT_TRUE(load_users(state_.borrow())->empty());
    EXPECT_TRUE(std::filesystem::exists(path("state/users.damaged")));
}

}  // namespace
}  // namespace nsr::ranges
