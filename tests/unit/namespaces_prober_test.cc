// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/prober.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <fstream>
#include <set>

#include "namespaces_scratch.h"

namespace {

int shortage = 0, failures = 0;

}  // namespace

// In the place of the C library's.
extern "C" int name_to_handle_at(int dir, const char* path, struct file_handle* handle, int* mount,
                                 int flags) noexcept {
    if (failures > 0) {
        --failures;
        errno = shortage;
        return -1;
    }
    return static_cast<int>(syscall(SYS_name_to_handle_at, dir, path, handle, mount, flags));
}

namespace nsr::namespaces {
namespace {

/// The kernel, which can be told to fail with an error.
class ProberTest : public testing::Test {
protected:
    void SetUp() override {
        NEEDS_ROOT();
        auto made = Prober::create([this](int mount, struct file_handle* handle, int flags) {
            ++calls_;
            if (error_ != 0 && decide_(handle)) {
                errno = error_;
                return -1;
            }
            return open_by_handle_at(mount, handle, flags);
        });
        ASSERT_TRUE(made);
        if (!made->works()) GTEST_SKIP() << "this kernel has no nsfs file handles (6.18 and newer have)";
        prober_.emplace(std::move(*made));
    }

    static bool is_of(const struct file_handle* handle, const NsIdentity& identity) {
        uint64_t id = 0;
        memcpy(&id, handle->f_handle, sizeof id);
        return id == identity.id.value;
    }
    Life probe(const NsIdentity& identity) const { return prober_->probe(identity); }
    /// One that is dead.
    NsIdentity dead() const {
        NsIdentity identity = make_namespace().identity();
        for (int i = 0; i < 500 && probe(identity) == Life::kAlive; ++i) usleep(10'000);
        return identity;
    }

    int error_ = 0, calls_ = 0;
    std::function<bool(const struct file_handle*)> decide_ = [](const auto*) { return true; };
    std::optional<Prober> prober_;
};

TEST_F(ProberTest, SeesDeath) {
    NsIdentity identity;
    {
        auto target = make_namespace();
        identity = target.identity();
        EXPECT_EQ(probe(identity), Life::kAlive);
        EXPECT_EQ(probe({NsInode(identity.inode.value + 1), identity.id}), Life::kDead) << "same id, other inode";
        EXPECT_TRUE(*prober_->open(identity));
    }
    for (int i = 0; i < 500 && probe(identity) == Life::kAlive; ++i) usleep(10'000);
    EXPECT_EQ(probe(identity), Life::kDead);
    EXPECT_FALSE(*prober_->open(identity));
    EXPECT_EQ(probe({identity.inode, NsId(0)}), Life::kUnknown);
}

TEST_F(ProberTest, TakesNoErrorOfAllCallsForADeath) {
    auto target = make_namespace();
    NsIdentity gone = dead();
    for (int error : {ESTALE, EPERM, ENOMEM, EMFILE}) {
        error_ = error;
        for (const auto& identity : {target.identity(), gone}) {
            EXPECT_EQ(probe(identity), Life::kUnknown) << error;
            EXPECT_FALSE(prober_->open(identity)) << error;
        }
        EXPECT_FALSE(prober_->verify()) << error;
    }
    error_ = 0;
    EXPECT_TRUE(prober_->verify());
    EXPECT_EQ(probe(target.identity()), Life::kAlive);
    EXPECT_EQ(probe(gone), Life::kDead);
}

TEST_F(ProberTest, TakesNoErrorOfOneCallForADeath) {
    auto target = make_namespace();
    error_ = ESTALE;
    int first = calls_;
    decide_ = [&](const auto*) { return calls_ == first + 1; };
    EXPECT_NE(probe(target.identity()), Life::kDead);
    first = calls_;
    auto opened = prober_->open(target.identity());
    EXPECT_FALSE(opened && !*opened);
}

// The kernel asks for rights over a namespace, but not for those over the process's own.
TEST_F(ProberTest, TakesALackOfRightsForNoDeath) {
    auto target = make_namespace();
    NsIdentity own = UserNamespace::own()->identity();
    error_ = ESTALE;
    decide_ = [&](const auto* handle) { return !is_of(handle, own); };
    EXPECT_EQ(probe(own), Life::kAlive);
    EXPECT_EQ(probe(target.identity()), Life::kUnknown);
    EXPECT_FALSE(prober_->open(target.identity()));
}

TEST_F(ProberTest, SeesADeathWithFewQuestions) {
    auto target = make_namespace();
    NsIdentity gone = dead();
    int before = calls_;
    EXPECT_EQ(probe(target.identity()), Life::kAlive);
    EXPECT_EQ(calls_ - before, 1);
    EXPECT_EQ(probe(gone), Life::kDead);
    EXPECT_EQ(calls_ - before, 4);
}

TEST_F(ProberTest, LeavesNoDescriptorOpen) {
    auto count = [] { return sys::list_directory(sys::kCwd, "/proc/self/fd")->size(); };
    auto target = make_namespace();
    size_t before = count();
    {
        auto another = Prober::create();
        ASSERT_TRUE(another && another->verify());
        EXPECT_EQ(another->probe(target.identity()), Life::kAlive);
    }
    EXPECT_EQ(count(), before);
}

TEST_F(ProberTest, IsMadeThoughTheSystemIsShortOfSomethingForAMoment) {
    for (int code : {ENOMEM, EMFILE, EINTR}) {
        shortage = code;
        failures = 2;
        auto made = Prober::create();
        ASSERT_TRUE(made);
        EXPECT_TRUE(made->works()) << code;
    }
}

TEST_F(ProberTest, SaysWhatAShortageThatLastsMeans) {
    shortage = ENOMEM;
    failures = 100;
    testing::internal::CaptureStderr();
    auto made = Prober::create();
    std::string log = testing::internal::GetCapturedStderr();
    failures = 0;
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->works());
    EXPECT_NE(log.find("not looked for"), std::string::npos) << log;
}

// In a user namespace that allows none below it.
TEST(Prober, WorksWithoutAUserNamespaceToCompareWith) {
    NEEDS_ROOT();
    auto target = make_namespace();
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) < 0) _exit(1);
        std::ofstream("/proc/sys/user/max_user_namespaces") << 0 << std::flush;
        auto made = Prober::create();
        if (!made) _exit(2);
        NsIdentity gone{NsInode(target.identity().inode.value + 1), target.identity().id};
        if (made->probe(gone) != Life::kUnknown || made->verify()) _exit(3);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace nsr::namespaces
