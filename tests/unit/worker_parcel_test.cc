// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/parcel.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nsr::worker {
namespace {

ino_t inode_of(int fd) {
    struct stat st{};
    EXPECT_EQ(fstat(fd, &st), 0);
    return st.st_ino;
}

TEST(Parcel, KeepsTextAndDescriptors) {
    Unfinished unfinished{std::string(1 << 20, 'x'), {}};
    std::vector<ino_t> inodes;
    for (int i = 0; i < 253; ++i) {
        int fds[2];
        ASSERT_EQ(pipe(fds), 0);
        close(fds[1]);
        unfinished.fds.emplace_back(fds[0]);
        inodes.push_back(inode_of(fds[0]));
    }
    auto parcel = make_parcel(std::move(unfinished));
    ASSERT_TRUE(parcel) << parcel.error().what();
    auto opened = open_parcel(parcel->borrow());
    ASSERT_TRUE(opened) << opened.error().what();
    EXPECT_EQ(opened->text, std::string(1 << 20, 'x'));
    ASSERT_EQ(opened->fds.size(), inodes.size());
    for (size_t i = 0; i < inodes.size(); ++i) EXPECT_EQ(inode_of(opened->fds[i].get()), inodes[i]);
}

TEST(Parcel, NeedsNoDescriptors) {
    auto parcel = make_parcel({"{", {}});
    ASSERT_TRUE(parcel);
    auto opened = open_parcel(parcel->borrow());
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->text, "{");
    EXPECT_TRUE(opened->fds.empty());
}

TEST(Parcel, CanBeOpenedOnce) {
    auto parcel = make_parcel({"{", {}});
    ASSERT_TRUE(parcel && open_parcel(parcel->borrow()));
    EXPECT_FALSE(open_parcel(parcel->borrow()));
}

}  // namespace
}  // namespace nsr::worker
