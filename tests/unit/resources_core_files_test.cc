// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/core_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cstring>
#include <filesystem>

#include "base/sys.h"

namespace nsr::resources {
namespace {

constexpr uint32_t kStart = 600000, kOther = 700000;
constexpr uint64_t kLong = 1'000'000'000;
constexpr char kList[] = "system.posix_acl_access";

struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
    bool operator==(const Entry&) const = default;
};
using Entries = std::vector<Entry>;

/// rw for the owner, and these users and groups.
Entries list_with(const Entries& named) {
    Entries all{{1, 6, UINT32_MAX}};
    for (const auto& entry : named)
        if (entry.tag == 2) all.push_back(entry);
    all.push_back({4, 4, UINT32_MAX});
    for (const auto& entry : named)
        if (entry.tag == 8) all.push_back(entry);
    all.push_back({16, 4, UINT32_MAX});
    all.push_back({32, 0, UINT32_MAX});
    return all;
}

class CoreFilesTest : public testing::Test {
protected:
    void SetUp() override {
        const char* base = std::getenv("TMPDIR");
        directory_ = std::string(base != nullptr ? base : "/dev/shm") + "/core-files.XXXXXX";
        ASSERT_NE(mkdtemp(directory_.data()), nullptr);
        ids_.add(Uid(kStart), Gid(kStart), 65536);
        if (!make("probe", list_with({}))) GTEST_SKIP() << "no access control lists here";
        std::filesystem::remove(path("probe"));
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    bool make(const std::string& name, const Entries& entries) const {
        UniqueFd fd(open(path(name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0640));
        std::string value("\2\0\0\0", 4);
        value.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
        return fsetxattr(fd.get(), kList, value.data(), value.size(), 0) == 0;
    }
    Entries entries_of(const std::string& name) const {
        char value[4096];
        ssize_t size = getxattr(path(name).c_str(), kList, value, sizeof value);
        if (size < 4) return {};
        Entries entries((static_cast<size_t>(size) - 4) / sizeof(Entry));
        std::memcpy(entries.data(), value + 4, entries.size() * sizeof(Entry));
        return entries;
    }
    void clear(CoreFiles expected = CoreFiles::kCleared, uint64_t usec = kLong) const {
        auto cleared = clear_core_files(directory_, ids_, usec);
        ASSERT_TRUE(cleared) << cleared.error().what();
        EXPECT_EQ(*cleared, expected);
    }

    std::string directory_;
    DeadIds ids_;
};

std::string core_of(uint32_t uid) {
    return fmt::format("core.a\\x2eout.{}.e5a1f6b7c8d94f0e8d7c6b5a49382716.4711.1764288000000000.zst", uid);
}

TEST_F(CoreFilesTest, LoseEntriesWithTheIds) {
    ASSERT_TRUE(
        make(core_of(kStart), list_with({{2, 4, kStart}, {2, 4, 1000}, {8, 4, kStart + 65535}, {8, 4, kOther}})));
    clear();
    EXPECT_EQ(entries_of(core_of(kStart)), list_with({{2, 4, 1000}, {8, 4, kOther}}));
}

TEST_F(CoreFilesTest, OfOtherUsersStay) {
    ASSERT_TRUE(make(core_of(kOther), list_with({{2, 4, kOther}})));
    ASSERT_TRUE(make(core_of(1000), list_with({{2, 4, 1000}})));
    clear();
    EXPECT_EQ(entries_of(core_of(kOther)), list_with({{2, 4, kOther}}));
    EXPECT_EQ(entries_of(core_of(1000)), list_with({{2, 4, 1000}}));
}

TEST_F(CoreFilesTest, WithoutAUidInTheirNamesAreLookedInto) {
    for (const char* name : {"core.x", "core.x.y.z", "core.x.-1.z"}) {
        ASSERT_TRUE(make(name, list_with({{2, 4, kStart + 5}})));
        clear();
        EXPECT_EQ(entries_of(name), list_with({})) << name;
    }
}

TEST_F(CoreFilesTest, OtherFilesAndTypesAreLeftAlone) {
    ASSERT_TRUE(make("notes", list_with({{2, 4, kStart}})));
    ASSERT_EQ(symlink("notes", path(core_of(kStart)).c_str()), 0);
    ASSERT_EQ(mkfifo(path(core_of(kStart + 1)).c_str(), 0600), 0);
    ASSERT_EQ(mkdir(path(core_of(kStart + 2)).c_str(), 0700), 0);
    ASSERT_EQ(close(creat(path(core_of(kStart + 3)).c_str(), 0600)), 0);
    clear();
    EXPECT_EQ(entries_of("notes"), list_with({{2, 4, kStart}}));
}

TEST_F(CoreFilesTest, OfAnotherOwnerAreLeftAlone) {
    ASSERT_TRUE(make(core_of(kStart), list_with({{2, 4, kStart}})));
    if (chown(path(core_of(kStart)).c_str(), 1000, 1000) < 0) GTEST_SKIP() << "it takes root to make one";
    clear();
    EXPECT_EQ(entries_of(core_of(kStart)), list_with({{2, 4, kStart}}));
}

TEST_F(CoreFilesTest, AreLeftWhenTheTimeIsOver) {
    ASSERT_TRUE(make(core_of(1000), list_with({})));
    clear(CoreFiles::kCleared, 0);  // none that matters
    ASSERT_TRUE(make(core_of(kStart), list_with({{2, 4, kStart}})));
    clear(CoreFiles::kCleared, 0);  // the first one is done in any case
    EXPECT_EQ(entries_of(core_of(kStart)), list_with({}));
    ASSERT_TRUE(make(core_of(kStart + 1), list_with({{2, 4, kStart + 1}})));
    clear(CoreFiles::kLeft, 0);
}

TEST_F(CoreFilesTest, DirectoryOfOthersIsRefused) {
    ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
    auto cleared = clear_core_files(directory_, ids_, kLong);
    ASSERT_FALSE(cleared);
    EXPECT_EQ(cleared.error().code(), EPERM);
}

TEST_F(CoreFilesTest, NoDirectory) {
    auto cleared = clear_core_files(directory_ + "/none", ids_, kLong);
    ASSERT_TRUE(cleared);
    EXPECT_EQ(*cleared, CoreFiles::kCleared);
}

}  // namespace
}  // namespace nsr::resources
