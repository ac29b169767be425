// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_tree.h"

#include <csignal>

#include "resources_scratch.h"

namespace nsr::resources {
namespace {

constexpr CgroupTree::Effort kMuch{.visits = 100'000};

CgroupRemoval remove(CgroupId id, CgroupWalk& walk, CgroupTree::Effort effort) {
    auto tree = CgroupTree::open();
    EXPECT_TRUE(tree);
    auto removed = tree->remove(id, walk, effort);
    EXPECT_TRUE(removed) << removed.error().what();
    return *removed;
}

CgroupRemoval remove(CgroupId id) {
    CgroupWalk walk;
    return remove(id, walk, kMuch);
}

TEST(CgroupTree, RemovesTheWholeTree) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* below : {"/a", "/a/b", "/a/b/c", "/.hidden", "/..x", "/a/two words"}) scratch.make(below);
    for (int i = 0; i < 50; ++i) scratch.make(fmt::format("/a/wide{}", i));
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kGone);
    EXPECT_FALSE(scratch.has(""));
}

TEST(CgroupTree, RemovesAVeryDeepOne) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    CgroupId id = scratch.id();
    // So deep that no path reaches it: one name after the other.
    UniqueFd directory = scratch.open();
    std::string name(200, 'd');
    for (int level = 0; level < 60; ++level) {
        ASSERT_TRUE(sys::mkdir_at(directory.borrow(), name, 0755));
        directory = std::move(*sys::open_at(directory.borrow(), name, O_RDONLY | O_DIRECTORY));
    }
    directory.reset();
    EXPECT_EQ(remove(id), CgroupRemoval::kGone);
    EXPECT_FALSE(scratch.has(""));
}

TEST(CgroupTree, LeavesTheNeighboursAlone) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* below : {"/a", "/a/b", "/c"}) scratch.make(below);
    EXPECT_EQ(remove(scratch.id("/a")), CgroupRemoval::kGone);
    EXPECT_FALSE(scratch.has("/a"));
    EXPECT_TRUE(scratch.has("/c"));
}

TEST(CgroupTree, GoneIsGone) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    scratch.make("/a");
    CgroupId old = scratch.id("/a");
    EXPECT_EQ(rmdir((scratch.path + "/a").c_str()), 0);
    scratch.make("/a");
    EXPECT_EQ(remove(old), CgroupRemoval::kGone);
    EXPECT_TRUE(scratch.has("/a")) << "another one of the same name";
    EXPECT_EQ(remove(CgroupId(UINT64_MAX)), CgroupRemoval::kGone);
}

TEST(CgroupTree, LeavesWhatHasProcesses) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* below : {"/a", "/a/busy", "/a/idle", "/b", "/b/c"}) scratch.make(below);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    std::ofstream(scratch.path + "/a/busy/cgroup.procs") << pid << std::flush;
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kBusy);
    EXPECT_TRUE(scratch.has("/a/busy"));
    EXPECT_FALSE(scratch.has("/a/idle"));
    EXPECT_FALSE(scratch.has("/b"));
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0) << "the process must live";
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kGone);
    EXPECT_FALSE(scratch.has(""));
}

TEST(CgroupTree, NeverTouchesTheRoot) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    auto tree = CgroupTree::open();
    ASSERT_TRUE(tree);
    CgroupWalk walk;
    auto effort = kMuch;
    auto refused = tree->remove(CgroupId(1), walk, effort);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EINVAL);
    EXPECT_TRUE(scratch.has("")) << "it was empty, and is below the root";
}

constexpr uint32_t kDead = 0x12340000;
constexpr uint32_t kOther = 0x23450000;

DeadIds dead() {
    DeadIds ids;
    ids.add(Uid(kDead), Gid(kDead), 65536);
    return ids;
}

CgroupsRetaken take_back(CgroupId id, CgroupTree::Effort& effort) {
    auto tree = CgroupTree::open();
    EXPECT_TRUE(tree);
    CgroupWalk walk{id};
    auto retaken = tree->take_back(walk, dead(), effort);
    EXPECT_TRUE(retaken) << retaken.error().what();
    return *retaken;
}

void give(const std::string& path, uint32_t uid, uint32_t gid) {
    EXPECT_EQ(chown(path.c_str(), uid, gid), 0) << path << ": " << strerror(errno);
}

std::string owners(const std::string& path) {
    struct stat st{};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return fmt::format("{:x}:{:x} {:o}", st.st_uid, st.st_gid, st.st_mode & 07777);
}

TEST(CgroupTree, TakesBackWhatHasDeadIdsAndNothingElse) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* below : {"/a", "/a/b", "/a/b/c", "/.hidden", "/..x", "/a/two words\xff\x01"}) scratch.make(below);
    give(scratch.path, kOther, kOther);
    give(scratch.path + "/a", kDead, kDead);
    give(scratch.path + "/a/b", kOther, kDead + 65535);
    give(scratch.path + "/a/b/c", kDead + 65536, kDead - 1);
    for (const char* below : {"/.hidden", "/..x", "/a/two words\xff\x01"})
        give(scratch.path + below, kDead + 7, kOther);
    // Any file of a cgroup is its maker's, not only those that a delegation gives away.
    give(scratch.path + "/a/b/cgroup.freeze", kDead + 1, kDead + 2);
    give(scratch.path + "/a/b/cgroup.procs", kOther, 5);
    EXPECT_EQ(chmod((scratch.path + "/a").c_str(), 07777), 0);
    EXPECT_EQ(chmod((scratch.path + "/a/b/cgroup.freeze").c_str(), 0666), 0);
    EXPECT_EQ(chmod((scratch.path + "/a/b/cgroup.procs").c_str(), 0666), 0);

    auto effort = kMuch;
    EXPECT_EQ(take_back(scratch.id(), effort), CgroupsRetaken::kAll);
    EXPECT_EQ(kMuch.visits - effort.visits, 7u);
    EXPECT_EQ(owners(scratch.path), "23450000:23450000 755");
    EXPECT_EQ(owners(scratch.path + "/a"), "0:0 755");
    EXPECT_EQ(owners(scratch.path + "/a/b"), "23450000:0 755");
    EXPECT_EQ(owners(scratch.path + "/a/b/c"), "12350000:1233ffff 755");
    for (const char* below : {"/.hidden", "/..x", "/a/two words\xff\x01"})
        EXPECT_EQ(owners(scratch.path + below), "0:23450000 755") << below;
    EXPECT_EQ(owners(scratch.path + "/a/b/cgroup.freeze"), "0:0 644");
    EXPECT_EQ(owners(scratch.path + "/a/b/cgroup.procs"), "23450000:5 666");
}

TEST(CgroupTree, TakesBackEveryFileThatInsideMade) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    give(scratch.path, kDead, kDead);
    EXPECT_EQ(in_child([&] {
                  if (setgid(kDead) < 0 || setuid(kDead) < 0) return 1;
                  return mkdir((scratch.path + "/own").c_str(), 0755) < 0 ? 2 : 0;
              }),
              0);
    auto names = sys::list_directory(sys::kCwd, scratch.path + "/own");
    ASSERT_TRUE(names);
    size_t own = 0;
    for (const auto& name : *names) own += owners(scratch.path + "/own/" + name).starts_with("12340000:12340000");
    EXPECT_GT(own, 5u);
    auto effort = kMuch;
    EXPECT_EQ(take_back(scratch.id(), effort), CgroupsRetaken::kAll);
    for (const auto& name : *names) EXPECT_TRUE(owners(scratch.path + "/own/" + name).starts_with("0:0 ")) << name;
    EXPECT_TRUE(owners(scratch.path + "/own").starts_with("0:0 "));
}

TEST(CgroupTree, TakesBackFilesThatWereHidden) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    if (!scratch.has("/cgroup.pressure")) GTEST_SKIP() << "no pressure accounting by cgroup here";
    for (const char* file : {"", "/cgroup.pressure", "/memory.pressure"}) give(scratch.path + file, kDead, kDead);
    std::ofstream(scratch.path + "/cgroup.pressure") << 0 << std::flush;
    EXPECT_FALSE(scratch.has("/memory.pressure"));
    auto effort = kMuch;
    EXPECT_EQ(take_back(scratch.id(), effort), CgroupsRetaken::kAll);
    std::ofstream(scratch.path + "/cgroup.pressure") << 1 << std::flush;
    EXPECT_EQ(owners(scratch.path + "/memory.pressure"), "0:0 644");
}

TEST(CgroupTree, TakesBackAVeryDeepOne) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    UniqueFd directory = scratch.open();
    for (int level = 0; level < 600; ++level) {
        ASSERT_TRUE(sys::mkdir_at(directory.borrow(), "d", 0755));
        directory = std::move(*sys::open_at(directory.borrow(), "d", O_RDONLY | O_DIRECTORY));
    }
    EXPECT_EQ(fchown(directory.get(), kDead, kDead), 0);
    auto effort = kMuch;
    EXPECT_EQ(take_back(scratch.id(), effort), CgroupsRetaken::kAll);
    EXPECT_EQ(sys::stat_fd(directory.borrow())->st_uid, 0u);
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kGone);
}

TEST(CgroupTree, TakesBackALargeOneInParts) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (int i = 0; i < 50; ++i) {
        scratch.make(fmt::format("/{}", i));
        give(fmt::format("{}/{}", scratch.path, i), kDead, kDead);
    }
    auto left = [&] {
        int count = 0;
        for (int i = 0; i < 50; ++i) count += !owners(fmt::format("{}/{}", scratch.path, i)).starts_with("0:0 ");
        return count;
    };
    auto tree = CgroupTree::open();
    CgroupWalk walk{scratch.id()};
    for (int expected : {31, 11}) {  // the one above is among the first twenty
        CgroupTree::Effort effort{.visits = 20};
        EXPECT_EQ(*tree->take_back(walk, dead(), effort), CgroupsRetaken::kInPart);
        EXPECT_EQ(left(), expected) << "what was looked at is not looked at again";
    }
    CgroupTree::Effort effort{.visits = 11};
    EXPECT_EQ(*tree->take_back(walk, dead(), effort), CgroupsRetaken::kAll);
    EXPECT_EQ(left(), 0);
}

TEST(CgroupTree, EndsInTime) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* below : {"/a", "/b", "/c"}) scratch.make(below);
    auto tree = CgroupTree::open();
    CgroupTree::Effort effort{.visits = 1000, .end_usec = 1};
    CgroupWalk walk{scratch.id()};
    EXPECT_EQ(*tree->take_back(walk, dead(), effort), CgroupsRetaken::kInPart);
    EXPECT_EQ(walk.size(), 3u) << "one is looked at in any case";
    walk.clear();
    EXPECT_EQ(remove(scratch.id(), walk, effort), CgroupRemoval::kInPart);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(remove(scratch.id(), walk, effort), CgroupRemoval::kInPart);
    EXPECT_EQ(remove(scratch.id(), walk, effort), CgroupRemoval::kGone);
}

TEST(CgroupTree, RemovesALargeOneInParts) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    // Those that stay must not be met again and again.
    for (int i = 0; i < 30; ++i) scratch.make(fmt::format("/{}", i));
    for (const char* below : {"/busy", "/busy/a", "/busy/b"}) scratch.make(below);
    std::ofstream(scratch.path + "/busy/a/cgroup.procs") << pid << std::flush;
    CgroupWalk walk;
    int parts = 0;
    auto removal = CgroupRemoval::kInPart;
    for (; removal == CgroupRemoval::kInPart; ++parts) removal = remove(scratch.id(), walk, {.visits = 4});
    EXPECT_EQ(removal, CgroupRemoval::kBusy);
    EXPECT_EQ(parts, 9) << "two visits for each of two that have some below, one for 32 others";
    EXPECT_TRUE(scratch.has("/busy/a"));
    EXPECT_FALSE(scratch.has("/busy/b"));
    for (int i = 0; i < 30; ++i) EXPECT_FALSE(scratch.has(fmt::format("/{}", i))) << i;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kGone);
}

TEST(CgroupTree, NothingOfOneThatIsGoneIsTakenBack) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    scratch.make("/a");
    CgroupId old = scratch.id("/a");
    EXPECT_EQ(rmdir((scratch.path + "/a").c_str()), 0);
    scratch.make("/a");
    give(scratch.path + "/a", kDead, kDead);
    auto effort = kMuch;
    EXPECT_EQ(take_back(old, effort), CgroupsRetaken::kAll);
    EXPECT_EQ(owners(scratch.path + "/a"), "12340000:12340000 755") << "another one of the same name";
}

TEST(CgroupTree, LeavesNoDescriptorOpen) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    scratch.make("/a");
    auto count = [] { return sys::list_directory(sys::kCwd, "/proc/self/fd")->size(); };
    size_t before = count();
    auto effort = kMuch;
    EXPECT_EQ(take_back(scratch.id(), effort), CgroupsRetaken::kAll);
    EXPECT_EQ(count(), before);
    EXPECT_EQ(remove(scratch.id()), CgroupRemoval::kGone);
    EXPECT_EQ(count(), before);
}

TEST(CgroupMount, FindsTheMountPoint) {
    EXPECT_EQ(cgroup2_mount_point("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"),
              "/sys/fs/cgroup/unified");
    EXPECT_EQ(cgroup2_mount_point("41 31 0:38 /x /a\\040b\\134c rw shared:1 master:2 - cgroup2 none rw"), "/a b\\c");
    for (const char* line : {"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu", "", " - cgroup2 x y",
                             "1 2 3 - cgroup2 x", "25 30 0:5 / /cgroup2 rw - tmpfs cgroup2 rw"})
        EXPECT_FALSE(cgroup2_mount_point(line)) << line;
}

}  // namespace
}  // namespace nsr::resources
