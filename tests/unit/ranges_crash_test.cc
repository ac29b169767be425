// SPDX-License-Identifier: LGPL-2.1-or-later
// A process is killed, or a system call fails, at each changing step of what is done with the record of older ranges.
// The C library's functions are shadowed by those below, so that the code under test needs no hook for it.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstdarg>
#include <functional>

#include "ranges/used_set.h"
#include "ranges_boot.h"
#include "ranges_scratch.h"

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
long call(long number, Args... args) {
    return strikes() ? -1 : ::syscall(number, args...);
}

}  // namespace

extern "C" {
int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) noexcept {
    return static_cast<int>(call(SYS_linkat, from_dir, from, to_dir, to, flags));
}
int unlinkat(int dir, const char* path, int flags) noexcept {
    return static_cast<int>(call(SYS_unlinkat, dir, path, flags));
}
int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
    return static_cast<int>(call(SYS_renameat, from_dir, from, to_dir, to));
}
int fdatasync(int fd) { return static_cast<int>(call(SYS_fdatasync, fd)); }
int openat(int dir, const char* path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return static_cast<int>(call(SYS_openat, dir, path, flags, mode));
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
    // Half of the bits, so that the file is torn.
    if (fault == Fault::kDie && steps_left == 0 && size > 8) ::syscall(SYS_pwrite64, fd, data, size / 2, offset);
    return call(SYS_pwrite64, fd, data, size, offset);
}
}

namespace nsr::ranges {
namespace {

using enum UsedBefore::Reuse;

Result<UsedSet::Verdict> accept_all(Uid) { return UsedSet::Verdict::kAcceptable; }

class RangesCrash : public Scratch {
protected:
    using Operation = std::function<Status()>;

    Status begin(UsedBefore::Reuse reuse) { return UsedBefore::begin_boot(state_.borrow(), runtime_.borrow(), reuse); }
    Result<UsedSet> try_open() { return UsedSet::open(state_.borrow(), runtime_.borrow()); }
    UsedSet open() { return std::move(try_open().value()); }
    static Uid take(UsedSet& set, std::string_view name) {
        return set.take({kContainerPool, {&kAllIds, 1}, name}, accept_all).value().value();
    }

    /// Three ranges of another boot, one of which this boot has used again, and one that is this boot's alone. The
    /// record is of this boot, or not begun.
    enum class Record { kBegun, kOfAnotherBoot, kMissing };
    void prepare(Record record) {
        std::filesystem::remove_all(path("state"));
        std::filesystem::remove_all(path("run"));
        state_ = directory("state");
        runtime_ = directory("run");
        ASSERT_TRUE(begin(kAfterReclaim));
        {
            UsedSet set = open();
            old_ = {take(set, "a"), take(set, "b"), take(set, "c")};
        }
        begin_another_boot(path("state"), path("run"));
        young_.clear();
        if (record == Record::kOfAnotherBoot) return;
        if (record == Record::kMissing) std::filesystem::remove(path("state/used-before"));
        if (record == Record::kBegun) {
            ASSERT_TRUE(begin(kAfterReclaim));
        }
        UsedSet set = open();
        young_ = {old_[2], take(set, "d")};
        ASSERT_TRUE(set.mark_used({old_.data() + 2, 1}));
    }

    /// Whether it came to its end.
    static bool survives(Fault wanted, int step, const Operation& operation) {
        pid_t child = ::fork();
        if (child == 0) {
            steps_left = step;
            fault = wanted;
            Status done = operation();
            ::_exit(done && fault != Fault::kNone ? 0 : kDied);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status));
        return WEXITSTATUS(status) == 0;
    }

    void check_record() {
        UsedSet set = open();
        auto before = set.used_before(kContainerPool).value();
        for (Uid start : young_) EXPECT_FALSE(before.test(kContainerPool.index_of(start).value())) << start.value;
        for (uint32_t index = 0; index < kContainerPool.count(); index++)
            if (before.test(index)) {
                ASSERT_EQ(set.state_of(kContainerPool.start_of(index)), UsedSet::State::kUsed);
                ASSERT_EQ(std::ranges::count(old_, kContainerPool.start_of(index)), 1);
            }
    }

    /// Kills and fails the operation at each step; after each, and after the next start, no young range is old.
    void try_all(Record record, const Operation& operation) {
        for (Fault wanted : {Fault::kDie, Fault::kFail}) {
            int step = 0;
            for (bool ended = false; !ended; step++) {
                ASSERT_LT(step, 100);
                prepare(record);
                ended = survives(wanted, step, operation);
                check_record();
                ASSERT_TRUE(begin(kAfterReclaim));
                check_record();
            }
            EXPECT_GT(step, 2);
        }
    }

    UniqueFd state_, runtime_;
    std::vector<Uid> old_, young_;
};

TEST_F(RangesCrash, FirstStartInABoot) {
    try_all(Record::kOfAnotherBoot, [&] { return begin(kAfterReclaim); });
    EXPECT_EQ(open().used_before(kContainerPool)->count(), 3u);
}

TEST_F(RangesCrash, FirstStartWithoutARecord) {
    try_all(Record::kMissing, [&] { return begin(kAfterReclaim); });
    EXPECT_EQ(open().used_before(kContainerPool)->count(), 0u);
}

TEST_F(RangesCrash, FirstStartWithADamagedRecord) {
    try_all(Record::kBegun, [&]() -> Status {
        write("state/used-before", "damaged");
        return begin(kAfterReclaim);
    });
}

TEST_F(RangesCrash, LevelNone) {
    try_all(Record::kBegun, [&] { return begin(kAtOnce); });
    EXPECT_EQ(open().used_before(kContainerPool)->count(), 0u);
}

TEST_F(RangesCrash, Clear) {
    try_all(Record::kBegun, [&]() -> Status { return TRY(try_open()).clear(old_); });
    UsedSet set = open();
    EXPECT_EQ(set.state_of(old_[0]), UsedSet::State::kUnused);
    EXPECT_EQ(set.state_of(old_[2]), UsedSet::State::kUsed);
}

TEST_F(RangesCrash, TakeAndRefillAfterClear) {
    IdInterval ids{};
    try_all(Record::kBegun, [&]() -> Status {
        UsedSet set = TRY(try_open());
        TRY(set.clear(old_));
        ids = {old_[0].value, old_[0].value + kContainerPool.size - 1};
        TRY(set.take({kContainerPool, {&ids, 1}, "x"}, accept_all));
        return set.refill(kContainerPool, accept_all);
    });
}

TEST_F(RangesCrash, MarkUsed) {
    try_all(Record::kBegun, [&]() -> Status { return TRY(try_open()).mark_used({old_.data(), 1}); });
    auto before = open().used_before(kContainerPool).value();
    EXPECT_EQ(before.count(), 1u);
    EXPECT_TRUE(before.test(kContainerPool.index_of(old_[1]).value()));
}

}  // namespace
}  // namespace nsr::ranges
