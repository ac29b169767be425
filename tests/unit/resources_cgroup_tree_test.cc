// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_tree.h"

#include <csignal>

#include "resources_scratch.h"

namespace nsr::resources {
namespace {

CgroupRemoval remove(CgroupId id) {
    auto tree = CgroupTree::open();
    EXPECT_TRUE(tree);
    auto removed = tree->remove(id);
    EXPECT_TRUE(removed) << removed.error().what();
    return *removed;
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
    auto refused = tree->remove(CgroupId(1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EINVAL);
    EXPECT_TRUE(scratch.has("")) << "it was empty, and is below the root";
}

TEST(CgroupTree, LeavesNoDescriptorOpen) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    scratch.make("/a");
    auto count = [] { return sys::list_directory(sys::kCwd, "/proc/self/fd")->size(); };
    size_t before = count();
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
