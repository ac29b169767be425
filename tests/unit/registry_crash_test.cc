// SPDX-License-Identifier: LGPL-2.1-or-later
// A process is killed, or a system call fails, at each changing step of each operation in turn. The C library's
// functions are shadowed by those below, so that the code under test needs no hook for it.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cstdarg>

#include "registry/recover.h"
#include "registry_failing_open.h"
#include "registry_scratch.h"

namespace {

enum class Fault { kNone, kDie, kFail };
Fault fault = Fault::kNone;
int steps_left = 0;
constexpr int kDied = 99;

// Whether the step is to fail.
bool strikes() {
    if (fault == Fault::kNone || steps_left-- > 0) return false;
    if (fault == Fault::kDie) ::_exit(kDied);
    fault = Fault::kNone;
    errno = ENOSPC;
    return true;
}

template <class... Args>
int call(long number, Args... args) {
    return strikes() ? -1 : static_cast<int>(::syscall(number, args...));
}

}  // namespace

extern "C" {
int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) noexcept {
    return call(SYS_linkat, from_dir, from, to_dir, to, flags);
}
int unlinkat(int dir, const char* path, int flags) noexcept { return call(SYS_unlinkat, dir, path, flags); }
int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
    return call(SYS_renameat, from_dir, from, to_dir, to);
}
int mkdirat(int dir, const char* path, mode_t mode) noexcept { return call(SYS_mkdirat, dir, path, mode); }
int fchmod(int fd, mode_t mode) noexcept { return call(SYS_fchmod, fd, mode); }
int openat(int dir, const char* path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (int code = nsr::registry::FailingOpen::strikes(path); code != 0) {
        errno = code;
        return -1;
    }
    return call(SYS_openat, dir, path, flags, mode);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
    // Half of a record, so that what is left is cut off.
    if (fault == Fault::kDie && steps_left == 0 && size > 1) ::syscall(SYS_pwrite64, fd, data, size / 2, offset);
    return strikes() ? -1 : ::syscall(SYS_pwrite64, fd, data, size, offset);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }
}

namespace nsr::registry {
namespace {

class CrashTest : public ::testing::Test {
protected:
    // What is done about a dead worker whose journal tells of this.
    void repair(const Registration& half_done) {
        Lock lock = std::move(store.lock().value());
        ASSERT_TRUE(store.remove(lock, half_done));
        ASSERT_TRUE(store.remove_leftovers(lock));
        ASSERT_EQ(besides(), std::set<std::string>{"registry"});
    }
    std::set<std::string> besides() const {
        std::set<std::string> names;
        for (const auto& file : std::filesystem::directory_iterator(scratch.state()))
            names.insert(file.path().filename());
        return names;
    }
    // Runs something in a child that dies at a step; whether it came to its end.
    template <class Operation>
    bool survives(int step, Operation operation) {
        pid_t child = ::fork();
        if (child == 0) {
            auto lock = store.lock();
            steps_left = step;
            fault = Fault::kDie;
            Status done = operation(*lock);
            fault = Fault::kNone;
            ::_exit(done ? 0 : 1);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status));
        EXPECT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kDied);
        return WEXITSTATUS(status) == 0;
    }
    void add(const Registration& registration) { ASSERT_TRUE(store.add(store.lock().value(), registration)); }
    void recover_as(Verdict verdict) {
        auto report = recover(store, [verdict](const Registration&) { return verdict; });
        ASSERT_TRUE(report);
        EXPECT_EQ(report->broken + report->links_in_doubt, 0u);
    }

    ScratchRegistry scratch;
    Store store = scratch.open();
    const Registration a = transient(5, "a", 524288);
};

TEST_F(CrashTest, InAddLeavesNothingAfterTheManagersRepair) {
    int step = 0;
    while (!survives(step, [&](const Lock& lock) { return store.add(lock, a); })) {
        repair(a);
        ASSERT_TRUE(scratch.files().empty()) << "died at step " << step;
        ++step;
    }
    EXPECT_GE(step, 8);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(CrashTest, InAddIsMadeWholeOrNothingByRecovery) {
    for (Verdict verdict : {Verdict::kKeep, Verdict::kRemove}) {
        int step = 0;
        while (!survives(step, [&](const Lock& lock) { return store.add(lock, a); })) {
            recover_as(verdict);
            auto files = scratch.files();
            ASSERT_TRUE(files.empty() || (verdict == Verdict::kKeep && files == kFilesOfA)) << "died at step " << step;
            repair(a);
            ++step;
        }
        ASSERT_TRUE(store.remove(store.lock().value(), a));
        EXPECT_GE(step, 8);
    }
}

TEST_F(CrashTest, InASecondCallForANamespaceLeavesTheFirst) {
    add(a);
    for (const Registration& second : {transient(6, "a", 589824), transient(6, "b", 524288)}) {
        for (int step = 0; step < 16; ++step) {
            survives(step, [&](const Lock& lock) {
                Status added = store.add(lock, second);
                return added ? Status(fail(EINVAL, "added what is there")) : Status();
            });
            repair(second);
            ASSERT_EQ(scratch.files(), kFilesOfA) << "died at step " << step;
        }
    }
}

TEST_F(CrashTest, InRemoveIsFoundAgainByItsEntry) {
    int step = 0;
    for (;; ++step) {
        add(a);
        bool done = survives(step, [&](const Lock& lock) { return store.remove(lock, a); });
        if (done) break;
        EXPECT_EQ(store.inodes().value(), std::vector{NsInode(5)}) << "died at step " << step;
        recover_as(Verdict::kRemove);
        ASSERT_TRUE(scratch.files().empty()) << "died at step " << step;
    }
    EXPECT_EQ(scratch.files(), std::set<std::string>{});
    EXPECT_GE(step, 6);
}

TEST_F(CrashTest, InRemoveIsMadeWholeAgainIfItsNamespaceLives) {
    for (int step = 0; step < 6; ++step) {
        if (scratch.files().empty()) add(a);
        ASSERT_FALSE(survives(step, [&](const Lock& lock) { return store.remove(lock, a); }));
        recover_as(Verdict::kKeep);
        ASSERT_EQ(scratch.files(), kFilesOfA) << "died at step " << step;
    }
}

TEST_F(CrashTest, OfRecoveryIsPutRightByTheNext) {
    for (int step = 0;; ++step) {
        add(a);
        std::filesystem::remove(scratch.registry() / "u524288.userns");
        std::filesystem::remove_all(scratch.registry() / "o1000.owns");
        pid_t child = ::fork();
        if (child == 0) {
            steps_left = step;
            fault = Fault::kDie;
            auto report = recover(store, [](const Registration&) { return Verdict::kKeep; });
            fault = Fault::kNone;
            ::_exit(report ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        recover_as(Verdict::kKeep);
        ASSERT_EQ(scratch.files(), kFilesOfA) << "died at step " << step;
        ASSERT_TRUE(store.remove(store.lock().value(), a));
        if (WEXITSTATUS(status) == 0) break;
    }
}

TEST_F(CrashTest, AFailureInAddLeavesNothing) {
    int step = 0;
    for (;; ++step) {
        Lock lock = std::move(store.lock().value());
        steps_left = step;
        fault = Fault::kFail;
        Status added = store.add(lock, a);
        bool struck = fault == Fault::kNone;
        fault = Fault::kNone;
        if (!struck) break;
        ASSERT_FALSE(added) << "step " << step;
        EXPECT_EQ(added.error().code(), ENOSPC);
        ASSERT_TRUE(scratch.files().empty()) << "step " << step;
        ASSERT_EQ(besides(), std::set<std::string>{"registry"}) << "step " << step;
    }
    EXPECT_GE(step, 8);
    EXPECT_EQ(scratch.files(), kFilesOfA);
}

TEST_F(CrashTest, InAddWithDelegatedRangesLeavesNothingAfterRepair) {
    Registration parent = with_delegates(transient(6, "p", 589824), {655360, 720896});
    add(parent);
    auto before = scratch.contents();
    Registration child = with_delegates(a, {655360, 720896, 786432});
    int step = 0;
    while (!survives(step, [&](const Lock& lock) { return store.add(lock, child); })) {
        repair(child);
        ASSERT_EQ(scratch.contents(), before) << "died at step " << step;
        ++step;
    }
    EXPECT_GE(step, 20);
    EXPECT_EQ(store.find_delegation(Uid(655360)).value()->ancestors, std::vector{NsInode(6)});
}

TEST_F(CrashTest, InRemoveWithDelegatedRangesIsDoneAgain) {
    Registration parent = with_delegates(transient(6, "p", 589824), {655360, 720896});
    add(parent);
    auto before = scratch.contents();
    Registration child = with_delegates(a, {655360, 720896, 786432});
    for (int step = 0;; ++step) {
        add(child);
        if (survives(step, [&](const Lock& lock) { return store.remove(lock, child); })) break;
        auto report = recover(store, [](const Registration& r) {
            return r.userns.inode == NsInode(5) ? Verdict::kRemove : Verdict::kKeep;
        });
        ASSERT_TRUE(report);
        ASSERT_EQ(scratch.contents(), before) << "died at step " << step;
    }
    EXPECT_EQ(scratch.contents(), before);
}

TEST_F(CrashTest, InUpdateLeavesTheOldRecordOrTheNew) {
    add(a);
    Registration changed = a;
    changed.cgroups = {CgroupId(77)};
    int step = 0;
    while (!survives(step, [&](const Lock& lock) { return store.update(lock, changed); })) {
        auto entry = store.find_by_inode(NsInode(5)).value();
        ASSERT_TRUE(*entry == a || *entry == changed) << "died at step " << step;
        recover_as(Verdict::kKeep);
        ASSERT_TRUE(store.remove_leftovers(store.lock().value()));
        ASSERT_EQ(besides(), std::set<std::string>{"registry"}) << "died at step " << step;
        ASSERT_EQ(scratch.files(), kFilesOfA) << "died at step " << step;
        ASSERT_EQ(store.find_by_start(Uid(524288)).value(), entry) << "died at step " << step;
        ASSERT_EQ(scratch.stat("i5.userns").st_nlink, 5u) << "died at step " << step;
        ++step;
    }
    EXPECT_GE(step, 10);
    EXPECT_EQ(*store.find_by_name("a").value(), changed);
    EXPECT_EQ(scratch.stat("i5.userns").st_nlink, 5u);
}

TEST_F(CrashTest, InUpdateDoesNotHinderRemoval) {
    Registration changed = a;
    changed.cgroups = {CgroupId(77)};
    for (int step = 0;; ++step) {
        add(a);
        bool done = survives(step, [&](const Lock& lock) { return store.update(lock, changed); });
        ASSERT_TRUE(store.remove(store.lock().value(), *store.find_by_inode(NsInode(5)).value()));
        ASSERT_TRUE(scratch.files().empty()) << "died at step " << step;
        if (done) break;
    }
}

}  // namespace
}  // namespace nsr::registry
