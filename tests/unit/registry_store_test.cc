// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/store.h"

#include <sys/wait.h>

#include "registry/file_name.h"
#include "registry_scratch.h"

namespace nsr::registry {
namespace {

class StoreTest : public ::testing::Test {
protected:
    void add(const Registration& registration) {
        Lock lock = std::move(store.lock().value());
        ASSERT_TRUE(store.add(lock, registration));
    }
    Status remove(const Registration& registration) { return store.remove(store.lock().value(), registration); }

    ScratchRegistry scratch;
    Store store = scratch.open();
    const Registration a = transient(5, "a", 524288);
};

TEST_F(StoreTest, MakesItsDirectoriesWhateverTheUmask) {
    ScratchRegistry other;
    mode_t old = ::umask(0777);
    auto opened = Store::open(other.base_fd());
    ::umask(old);
    ASSERT_TRUE(opened) << opened.error().what();
    struct stat st{};
    for (auto directory : {other.state(), other.registry()}) {
        ASSERT_EQ(::stat(directory.c_str(), &st), 0);
        EXPECT_EQ(st.st_mode, S_IFDIR | 0755u);
    }
}

TEST_F(StoreTest, HasALockForRootOnly) { EXPECT_EQ(scratch.stat("lock").st_mode, S_IFREG | 0600u); }

TEST_F(StoreTest, OpensWhatIsThereAlready) {
    add(a);
    EXPECT_EQ(scratch.open().find_by_inode(NsInode(5)).value(), a);
}

TEST_F(StoreTest, DoesNotFollowASymbolicLinkInsteadOfADirectory) {
    ScratchRegistry other;
    std::filesystem::create_directory_symlink(scratch.state(), other.state());
    EXPECT_FALSE(Store::open(other.base_fd()));
}

TEST_F(StoreTest, LinksATransientRangeFiveTimes) {
    mode_t old = ::umask(077);
    add(a);
    ::umask(old);
    EXPECT_EQ(scratch.files(), kFilesOfA);
    EXPECT_EQ(scratch.stat("i5.userns").st_nlink, 5u);
    EXPECT_EQ(scratch.stat("i5.userns").st_mode, S_IFREG | 0644u);
    EXPECT_EQ(scratch.stat("o1000.owns").st_mode, S_IFDIR | 0755u);
}

TEST_F(StoreTest, LinksAnyOtherThreeTimes) {
    add(plain(5, "a"));
    Registration self = transient(6, "b", 524288);
    self.setgroups = Registration::Setgroups::kDenied;
    self.range = TransientRange{1, Uid(1000), 0, Gid(1000), 0};
    add(self);
    EXPECT_EQ(scratch.files(), (std::set<std::string>{"i5.userns", "na.userns", "i6.userns", "nb.userns", "o1000.owns",
                                                      "o1000.owns/i5.userns", "o1000.owns/i6.userns"}));
    EXPECT_EQ(scratch.stat("i6.userns").st_nlink, 3u);
}

TEST_F(StoreTest, FindsInEachWay) {
    add(a);
    EXPECT_EQ(store.find_by_inode(NsInode(5)).value(), a);
    EXPECT_EQ(store.find_by_name("a").value(), a);
    EXPECT_EQ(store.find_by_start(Uid(524288)).value(), a);
    EXPECT_EQ(store.find_by_start_gid(Gid(524288)).value(), a);
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken);
    EXPECT_EQ(store.name_taken("a").value(), Taken::kTaken);
    EXPECT_EQ(store.owned(Uid(1000))->size(), 1u);
    EXPECT_EQ(store.inodes().value(), std::vector{NsInode(5)});
    EXPECT_EQ(store.owners().value(), std::vector{Uid(1000)});
    EXPECT_EQ(store.taken_starts().value(), (std::vector{Uid(524288), Uid(524288)}));
}

TEST_F(StoreTest, FindsNothingInAnEmptyRegistry) {
    EXPECT_EQ(store.find_by_inode(NsInode(5)).value(), std::nullopt);
    EXPECT_EQ(store.find_by_name("a").value(), std::nullopt);
    EXPECT_EQ(store.find_by_name("../lock").value(), std::nullopt);
    EXPECT_EQ(store.find_by_start(Uid(524288)).value(), std::nullopt);
    EXPECT_EQ(store.find_by_start_gid(Gid(524288)).value(), std::nullopt);
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kFree);
    EXPECT_EQ(store.name_taken("a").value(), Taken::kFree);
    EXPECT_FALSE(store.name_taken("a/b"));
    EXPECT_EQ(store.owned(Uid(1000))->size(), 0u);
    EXPECT_TRUE(store.inodes().value().empty());
    EXPECT_TRUE(store.owners().value().empty());
}

TEST_F(StoreTest, TakesAnyFileOfARangeForAHolder) {
    for (auto file : {"u524288.userns", "g524288.userns", "u524288.delegate", "g524288.delegate"}) {
        scratch.write(file, "");
        EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken) << file;
        EXPECT_EQ(store.taken_starts().value(), std::vector{Uid(524288)}) << file;
        std::filesystem::remove(scratch.registry() / file);
    }
    std::filesystem::create_symlink("nowhere", scratch.registry() / "u524288.userns");
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken);
}

TEST_F(StoreTest, RefusesWhatIsThereAndLeavesNothing) {
    add(a);
    for (const Registration& second :
         {transient(5, "b", 589824), transient(6, "a", 589824), transient(6, "b", 524288)}) {
        Status added = store.add(store.lock().value(), second);
        ASSERT_FALSE(added);
        EXPECT_EQ(added.error().code(), EEXIST);
        EXPECT_EQ(scratch.files(), kFilesOfA);
    }
    EXPECT_EQ(store.find_by_inode(NsInode(5)).value(), a);
}

TEST_F(StoreTest, LeavesNothingOfARefusedFirstEntryOfAnOwner) {
    add(a);
    Status added = store.add(store.lock().value(), transient(6, "b", 524288, Uid(1001)));
    EXPECT_FALSE(added);
    scratch.write("o1002.owns", "a file, not a directory");
    EXPECT_FALSE(store.add(store.lock().value(), transient(6, "b", 589824, Uid(1002))));
    std::filesystem::remove(scratch.registry() / "o1002.owns");
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(StoreTest, RefusesANameThatIsAPath) {
    Status added = store.add(store.lock().value(), plain(5, "../x"));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code(), EINVAL);
    EXPECT_FALSE(remove(plain(5, "../x")));
}

TEST_F(StoreTest, MakesARecordAhead) {
    store.prepare();
    store.prepare();
    EXPECT_TRUE(scratch.files().empty());
    add(a);
    add(transient(6, "b", 589824));
    EXPECT_EQ(store.find_by_inode(NsInode(5)).value(), a);
    EXPECT_EQ(store.find_by_name("b").value(), transient(6, "b", 589824));
}

// Whoever removes the registry beneath the service makes ranges of living namespaces look free.
TEST_F(StoreTest, GivesNoLockOfARegistryThatWasReplaced) {
    add(a);
    auto code_of_lock = [&] {
        auto lock = store.lock();
        return lock ? 0 : lock.error().code();
    };
    EXPECT_EQ(code_of_lock(), 0);
    std::filesystem::rename(scratch.registry(), scratch.base() / "moved");
    EXPECT_EQ(code_of_lock(), ESTALE);
    Store other = scratch.open();
    EXPECT_EQ(code_of_lock(), ESTALE);
    EXPECT_TRUE(other.lock());
    EXPECT_NE(other.home(), store.home());
    other.expect(store.home());
    EXPECT_FALSE(other.lock());
    std::filesystem::remove_all(scratch.registry());
    std::filesystem::rename(scratch.base() / "moved", scratch.registry());
    EXPECT_EQ(code_of_lock(), 0);
    std::filesystem::remove(scratch.registry() / "lock");
    EXPECT_EQ(code_of_lock(), ESTALE);
    scratch.write("lock", "");
    EXPECT_EQ(code_of_lock(), ESTALE);
}

TEST_F(StoreTest, RemovesEverything) {
    add(a);
    add(transient(6, "b", 589824));
    ASSERT_TRUE(remove(a));
    EXPECT_EQ(store.owned(Uid(1000))->size(), 1u);
    ASSERT_TRUE(remove(transient(6, "b", 589824)));
    EXPECT_TRUE(scratch.files().empty());
    EXPECT_TRUE(remove(a));
}

TEST_F(StoreTest, RemovesWhatIsLeftOfARegistration) {
    for (unsigned missing = 0; missing < 32; ++missing) {
        add(a);
        unsigned bit = 1;
        for (auto file : {"i5.userns", "na.userns", "u524288.userns", "g524288.userns", "o1000.owns/i5.userns"}) {
            if (missing & bit) std::filesystem::remove(scratch.registry() / file);
            bit <<= 1;
        }
        ASSERT_TRUE(remove(a)) << missing;
        EXPECT_TRUE(scratch.files().empty()) << missing;
    }
}

TEST_F(StoreTest, LeavesLinksOfAnotherRegistrationAlone) {
    // The range and the name of the dead one were given to somebody else.
    add(a);
    for (auto file : {"na.userns", "u524288.userns", "g524288.userns"})
        std::filesystem::remove(scratch.registry() / file);
    Registration b = transient(6, "a", 524288, Uid(1001));
    add(b);
    ASSERT_TRUE(remove(a));
    EXPECT_EQ(scratch.files(), (std::set<std::string>{"i6.userns", "na.userns", "u524288.userns", "g524288.userns",
                                                      "o1001.owns", "o1001.owns/i6.userns"}));
    // Also when the entry is not there to compare with.
    ASSERT_TRUE(remove(a));
    EXPECT_EQ(store.find_by_name("a").value(), b);
}

TEST_F(StoreTest, LeavesALaterRegistrationOfTheSameInodeAlone) {
    add(a);
    Registration earlier = a;
    earlier.userns.id = NsId(1);
    ASSERT_TRUE(remove(earlier));
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(StoreTest, LocksOutOthers) {
    std::optional<Lock> lock(std::move(store.lock().value()));
    pid_t child = ::fork();
    if (child == 0) {
        UniqueFd fd(::open((scratch.registry() / "lock").c_str(), O_RDONLY | O_CLOEXEC));
        Status locked = sys::lock_exclusively(fd.borrow(), 1000);
        ::_exit(!locked && locked.error().code() == ETIMEDOUT ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    lock.reset();
    EXPECT_TRUE(store.lock());
}

TEST_F(StoreTest, LetsOneOfTwoProcessesHaveAName) {
    for (uint64_t round = 0; round < 20; ++round) {
        pid_t children[2];
        for (uint64_t i = 0; i < 2; ++i) {
            children[i] = ::fork();
            if (children[i] != 0) continue;
            auto lock = store.lock();
            if (!lock) ::_exit(3);
            Status added = store.add(*lock, transient(10 + i, "same", static_cast<uint32_t>(524288 + i * 65536)));
            if (!added) ::_exit(added.error().code() == EEXIST ? 1 : 2);
            ::_exit(0);
        }
        int sum = 0;
        for (pid_t child : children) {
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            ASSERT_TRUE(WIFEXITED(status));
            sum += WEXITSTATUS(status);
        }
        EXPECT_EQ(sum, 1);
        auto winner = store.find_by_name("same").value();
        ASSERT_TRUE(winner);
        EXPECT_EQ(scratch.files().size(), 6u);
        ASSERT_TRUE(remove(*winner));
        EXPECT_TRUE(scratch.files().empty());
    }
}

}  // namespace
}  // namespace nsr::registry
