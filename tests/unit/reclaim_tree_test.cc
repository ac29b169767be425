// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/sys.h"
#include "reclaim/apart.h"
#include "reclaim/change_watch.h"
#include "reclaim/file_system.h"
#include "reclaim/tree_walk.h"

namespace nsr::reclaim {
namespace {

void no_tick() {}

class ReclaimTree : public testing::Test {
protected:
    ReclaimTree() {
        char pattern[] = "/dev/shm/nsr-reclaim-XXXXXX";
        if (!mkdtemp(pattern)) abort();
        path_ = pattern;
        before_ = std::filesystem::current_path();
        std::filesystem::create_directory(path("tree"));
    }
    ~ReclaimTree() override {
        std::filesystem::current_path(before_);
        // remove_all() of the C++ library goes by recursion, and not into what is very deep.
        if (system(("rm -rf " + path_).c_str()) != 0) abort();
    }
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
    }

    std::string path(const std::string& name) const { return path_ + "/" + name; }
    UniqueFd open(const std::string& name) const {
        return sys::open_at(sys::kCwd, path(name), O_RDONLY | O_DIRECTORY).value();
    }
    void file(const std::string& name, uint32_t uid, uint32_t gid = 0) const {
        std::ofstream(path(name)).put('x');
        ASSERT_EQ(lchown(path(name).c_str(), uid, gid), 0);
    }
    Findings walk(const std::string& name) const {
        Findings findings;
        TreeWalk(findings, no_tick).walk(open(name).borrow(), "TREE");
        return findings;
    }

    std::string path_;
    std::filesystem::path before_;
};

TEST_F(ReclaimTree, FindsAllKinds) {
    file("tree/uid", 524288);
    file("tree/gid", 0, 589824);
    std::filesystem::create_directories(path("tree/a/b"));
    file("tree/a/b/single", 61184);
    ASSERT_EQ(symlink("/", path("tree/link").c_str()), 0);
    ASSERT_EQ(lchown(path("tree/link").c_str(), 655360, 0), 0);
    ASSERT_EQ(mkfifo(path("tree/fifo").c_str(), 0600), 0);
    ASSERT_EQ(lchown(path("tree/fifo").c_str(), 720896, 0), 0);
    Findings found = walk("tree");
    EXPECT_EQ(found.holders().size(), 5u);
    EXPECT_EQ(found.holders().at(Uid(61184)).examples, std::vector<std::string>{"TREE/a/b/single"});
    EXPECT_EQ(found.problems(), std::vector<std::string>{});
}

TEST_F(ReclaimTree, TheRootItself) {
    ASSERT_EQ(chown(path("tree").c_str(), 0, 524288), 0);
    EXPECT_EQ(walk("tree").holders().at(Uid(524288)).examples, std::vector<std::string>{"TREE"});
}

TEST_F(ReclaimTree, FollowsNoLinks) {
    std::filesystem::create_directory(path("outside"));
    file("outside/x", 524288);
    std::filesystem::create_symlink(path("outside"), path("tree/link"));
    EXPECT_TRUE(walk("tree").holders().empty());
}

TEST_F(ReclaimTree, DeepWithFewDescriptors) {
    UniqueFd here = open("tree");
    for (int i = 0; i < 3000; i++) {
        ASSERT_TRUE(sys::mkdir_at(here.borrow(), "side", 0700));
        ASSERT_TRUE(sys::mkdir_at(here.borrow(), "down", 0700));
        here = sys::open_at(here.borrow(), "down", O_RDONLY | O_DIRECTORY).value();
    }
    ASSERT_TRUE(sys::mkdir_at(here.borrow(), "end", 0700));
    ASSERT_EQ(fchownat(here.get(), "end", 524288, 0, 0), 0);
    struct rlimit limit{}, few{128, 128};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few.rlim_max = limit.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    Findings findings;
    int inodes = 0;
    TreeWalk(findings, [&] { inodes++; }).walk(open("tree").borrow(), "TREE");
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(findings.problems(), std::vector<std::string>{});
    EXPECT_EQ(findings.holders().size(), 1u);
    EXPECT_EQ(inodes, 6002);
}

// Somebody waits until a directory has been looked at, and moves a file there from where nobody has looked.
TEST_F(ReclaimTree, FileMovedBehindOurBack) {
    file("hidden", 1179648);
    std::filesystem::create_directory(path("tree/d"));
    file("tree/d/mark", 524288);
    Findings findings;
    bool is_moved = false;
    auto tick = [&] {
        if (is_moved || !findings.holders().contains(Uid(524288))) return;
        std::filesystem::rename(path("hidden"), path("tree/d/hidden"));
        is_moved = true;
    };
    std::filesystem::create_directory(path("tree/e"));
    for (const char* name : {"tree/z", "tree/e/z"}) file(name, 0);
    UniqueFd proc = sys::open_at(sys::kCwd, "/proc", O_RDONLY | O_DIRECTORY).value();
    look_at_tree(open("tree").borrow(), proc.borrow(), "TREE", findings, tick);
    ASSERT_TRUE(is_moved);
    EXPECT_TRUE(findings.holders().contains(Uid(1179648)));
}

TEST_F(ReclaimTree, DirectoryMovedBehindOurBack) {
    std::filesystem::create_directories(path("outside/deep"));
    file("outside/deep/x", 1179648);
    file("tree/mark", 524288);
    Findings findings;
    bool is_moved = false;
    auto tick = [&] {
        if (is_moved || !findings.holders().contains(Uid(524288))) return;
        std::filesystem::rename(path("outside"), path("tree/inside"));
        is_moved = true;
    };
    UniqueFd proc = sys::open_at(sys::kCwd, "/proc", O_RDONLY | O_DIRECTORY).value();
    look_at_tree(open("tree").borrow(), proc.borrow(), "TREE", findings, tick);
    ASSERT_TRUE(is_moved);
    EXPECT_TRUE(findings.holders().contains(Uid(1179648)));
}

TEST_F(ReclaimTree, WatchTellsOfNewNames) {
    UniqueFd root = open("tree");
    auto watch = ChangeWatch::open(root.borrow());
    ASSERT_TRUE(watch) << watch.error().what();
    file("tree/one", 0);
    std::filesystem::create_hard_link(path("tree/one"), path("tree/two"));
    file("tree/gone", 0);
    std::filesystem::remove(path("tree/gone"));
    auto handles = watch->take();
    ASSERT_TRUE(handles);
    size_t living = 0;
    for (const auto& handle : *handles) {
        auto fd = open_handle(root.borrow(), handle, O_PATH);
        EXPECT_TRUE(fd || fd.error().code() == ESTALE);
        if (fd && sys::stat_fd(fd->borrow())->st_ino == sys::stat_target(path("tree/one"))->st_ino) living++;
    }
    EXPECT_EQ(living, 1u);
    EXPECT_TRUE(watch->take()->empty());
}

TEST(ReclaimApart, HandsOverWhatWasFound) {
    auto apart = run_apart(
        "x", 10'000'000,
        [](Findings& findings, Reporter& reporter) {
            for (uint32_t id = 524288; id < 524288 + 65536 * 1000; id += 65536) {
                reporter.tick();
                findings.add({&id, 1}, [] { return std::string(900, 'x'); });
            }
        },
        [](uint64_t) {});
    EXPECT_EQ(apart.inodes, 1000u);
    EXPECT_EQ(apart.findings.holders().size(), 1000u);
    EXPECT_TRUE(apart.findings.problems().empty());
}

TEST(ReclaimApart, OneThatHangs) {
    auto apart = run_apart("x", 300'000, [](Findings&, Reporter&) { pause(); }, [](uint64_t) {});
    ASSERT_EQ(apart.findings.problems().size(), 1u);
    EXPECT_NE(apart.findings.problems()[0].find("no answer"), std::string::npos);
}

TEST(ReclaimApart, OneThatDies) {
    auto apart = run_apart("x", 10'000'000, [](Findings&, Reporter&) { _exit(0); }, [](uint64_t) {});
    EXPECT_EQ(apart.findings.problems().size(), 1u);
}

}  // namespace
}  // namespace nsr::reclaim
