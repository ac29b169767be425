// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

namespace nsr::lifecycle {
namespace {

registry::Registration registration(uint64_t inode, const std::string& name) {
    registry::Registration made;
    made.owner = Uid(1000);
    made.name = name;
    made.userns = {NsInode(inode), NsId(inode + 1)};
    made.range = registry::TransientRange{65536, Uid(524288), 0, Gid(524288), 0};
    return made;
}

class JournalTest : public ::testing::Test {
protected:
    JournalTest() {
        std::string path = "/dev/shm/nsr-journal-XXXXXX";
        if (::mkdtemp(path.data())) path_ = path;
        dir_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    ~JournalTest() override { std::filesystem::remove_all(path_); }

    Journal open() const { return std::move(Journal::open(dir_.borrow()).value()); }

    /// What a process leaves that is killed after this.
    void leave(const std::function<void(Journal&)>& work) const {
        pid_t child = fork();
        if (child == 0) {
            Journal journal = open();
            work(journal);
            _exit(0);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }

    std::filesystem::path path_;
    UniqueFd dir_;
};

TEST_F(JournalTest, HasWhatADeadProcessLeft) {
    leave([](Journal& journal) { ASSERT_TRUE(journal.begin(Step::kRecording, registration(5, "a"), Source::kStock)); });
    Journal journal = open();
    auto others = journal.others();
    ASSERT_EQ(others.size(), 1u);
    EXPECT_EQ(others[0].step, Step::kRecording);
    EXPECT_EQ(others[0].source, Source::kStock);
    EXPECT_EQ(others[0].userns, NsInode(5));
    EXPECT_EQ(journal.read(others[0].page).value(), registration(5, "a"));
    EXPECT_EQ(journal.keeper(others[0].page), Journal::Keeper::kDead);
    auto adopted = journal.adopt(others[0].page);
    ASSERT_TRUE(adopted);
    adopted->end();
    EXPECT_TRUE(journal.others().empty());
}

TEST_F(JournalTest, HasNothingOfWhatWasEnded) {
    leave([](Journal& journal) {
        ASSERT_TRUE(journal.begin(Step::kRecording, registration(5, "a")));
        EXPECT_TRUE(journal.is_in_use());
        journal.proceed(Step::kMapping);
        journal.end();
        EXPECT_FALSE(journal.is_in_use());
    });
    EXPECT_TRUE(open().others().empty());
}

TEST_F(JournalTest, DoesNotAdoptWhatAnotherProcessKeepsOrRepairs) {
    Journal journal = open();
    ASSERT_TRUE(journal.begin(Step::kLinking, registration(5, "a")));
    leave([](Journal& other) {
        auto others = other.others();
        ASSERT_EQ(others.size(), 1u);
        if (other.keeper(others[0].page) != Journal::Keeper::kAlive || other.adopt(others[0].page)) _exit(1);
        if (!other.begin(Step::kMapping, registration(6, "b"))) _exit(2);
    });
    auto others = journal.others();
    ASSERT_EQ(others.size(), 1u);
    EXPECT_EQ(others[0].userns, NsInode(6));
    auto adopted = journal.adopt(others[0].page);
    ASSERT_TRUE(adopted);
    leave([page = others[0].page](Journal& other) {
        if (other.keeper(page) != Journal::Keeper::kDead || other.adopt(page)) _exit(1);
    });
}

TEST_F(JournalTest, KeepsAPageInUseForWhomeverRepairsIt) {
    leave([](Journal& journal) { ASSERT_TRUE(journal.begin(Step::kRecording, registration(5, "a"))); });
    leave([](Journal& journal) { ASSERT_TRUE(journal.begin(Step::kRecording, registration(6, "b"))); });
    Journal journal = open();
    ASSERT_TRUE(journal.begin(Step::kRecording, registration(7, "c")));
    EXPECT_EQ(journal.others().size(), 2u);
    EXPECT_FALSE(journal.adopt(journal.others()[0].page + 100));
}

TEST_F(JournalTest, KnowsTheRegistryOfTheInstance) {
    registry::Home home{1, 2, 3, 4};
    EXPECT_EQ(open().home(), registry::Home());
    open().set_home(home);
    EXPECT_EQ(open().home(), home);
}

TEST_F(JournalTest, PutsAsideWhatIsNotItsOwn) {
    for (const std::string& content : {std::string("x"), std::string(8192 + 255 * 4096, 'x')}) {
        std::ofstream(path_ / "journal") << content;
        auto journal = Journal::open(dir_.borrow());
        ASSERT_TRUE(journal) << journal.error().what();
        EXPECT_TRUE(journal->others().empty());
        EXPECT_EQ(std::filesystem::file_size(path_ / "journal.old"), content.size());
        std::filesystem::remove(path_ / "journal");
    }
}

TEST_F(JournalTest, DoesNotFollowALink) {
    std::filesystem::create_symlink("/etc/passwd", path_ / "journal");
    EXPECT_FALSE(Journal::open(dir_.borrow()));
}

TEST_F(JournalTest, SaysThatAFullFileSystemIsFull) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a tmpfs";
    ASSERT_EQ(mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=16k"), 0);
    {
        UniqueFd dir(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        auto journal = Journal::open(dir.borrow());
        ASSERT_TRUE(journal);
        std::ofstream(path_ / "filler") << std::string(65536, 'x');
        Status begun = journal->begin(Step::kRecording, registration(5, "a"));
        ASSERT_FALSE(begun);
        EXPECT_EQ(begun.error().code(), ENOSPC);
        std::filesystem::remove(path_ / "filler");
        EXPECT_TRUE(journal->begin(Step::kRecording, registration(5, "a")));
    }
    ASSERT_EQ(umount2(path_.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace nsr::lifecycle
