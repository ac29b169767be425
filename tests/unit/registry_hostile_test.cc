// SPDX-License-Identifier: LGPL-2.1-or-later
// Files in the registry that nobody of ours has put there.
#include <sys/socket.h>
#include <sys/un.h>

#include "registry/recover.h"
#include "registry_scratch.h"

namespace nsr::registry {
namespace {

class HostileTest : public ::testing::TestWithParam<const char*> {
protected:
    // Puts something bad under a name.
    void put(const std::string& file) const {
        std::string path = (scratch.registry() / file).string();
        std::string kind = GetParam();
        if (kind == "fifo") {
            ASSERT_EQ(::mkfifo(path.c_str(), 0644), 0);
        } else if (kind == "symlink") {
            std::ofstream(scratch.base() / "target") << format_registration(transient(5, "a", 524288));
            std::filesystem::create_symlink(scratch.base() / "target", path);
        } else if (kind == "dangling") {
            std::filesystem::create_symlink("/nowhere", path);
        } else if (kind == "loop") {
            std::filesystem::create_symlink(path, path);
        } else if (kind == "directory") {
            std::filesystem::create_directory(path);
        } else if (kind == "socket") {
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            ASSERT_LT(path.size(), sizeof address.sun_path);
            std::ranges::copy(path, address.sun_path);
            UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
            ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        } else if (kind == "empty") {
            scratch.write(file, "");
        } else if (kind == "huge") {
            scratch.write(file, format_registration(transient(5, "a", 524288)) + std::string(2 * kMaxFileSize, ' '));
        } else if (kind == "garbage") {
            scratch.write(file, "\xff\xfe garbage");
        } else if (kind == "mismatch") {
            scratch.write(file, format_registration(transient(77, "other", 655360)));
        } else if (kind == "numbers") {
            scratch.write(file, R"({"owner":1000,"name":"a","userns":5,"size":65536,"start":4294967294,"target":0})");
        }
    }

    ScratchRegistry scratch;
    Store store = scratch.open();
};

INSTANTIATE_TEST_SUITE_P(Kinds, HostileTest,
                         ::testing::Values("fifo", "symlink", "dangling", "loop", "directory", "socket", "empty",
                                           "huge", "garbage", "mismatch", "numbers"),
                         [](const auto& param) { return param.param; });

TEST_P(HostileTest, IsAnErrorWhereARecordIsLookedFor) {
    for (auto file : {"i5.userns", "na.userns", "u524288.userns", "g524288.userns"}) put(file);
    EXPECT_EQ(store.find_by_inode(NsInode(5)).error().code(), EBADMSG);
    EXPECT_EQ(store.find_by_name("a").error().code(), EBADMSG);
    EXPECT_EQ(store.find_by_start(Uid(524288)).error().code(), EBADMSG);
    EXPECT_EQ(store.find_by_start_gid(Gid(524288)).error().code(), EBADMSG);
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), Taken::kTaken);
    EXPECT_EQ(store.name_taken("a").value(), Taken::kTaken);
}

TEST_P(HostileTest, IsNotOverwrittenByANewRegistration) {
    for (auto file : {"i5.userns", "na.userns", "u524288.userns", "g524288.userns", "o1000.owns"}) {
        put(file);
        auto before = scratch.files();
        Status added = store.add(store.lock().value(), transient(5, "a", 524288));
        // An empty directory of an owner is just that.
        if (std::string_view(file) == "o1000.owns" && std::string_view(GetParam()) == "directory") {
            EXPECT_TRUE(added);
            continue;
        }
        EXPECT_FALSE(added) << file;
        EXPECT_EQ(scratch.files(), before);
        std::filesystem::remove_all(scratch.registry() / file);
    }
}

TEST_P(HostileTest, IsSetAsideAsAnEntry) {
    put("i5.userns");
    auto report = recover(store, [](const Registration&) { return Verdict::kRemove; });
    ASSERT_TRUE(report);
    EXPECT_EQ(report->broken, 1u);
    EXPECT_TRUE(scratch.files().empty());
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(scratch.state() / "broken" / "i5.userns")));
}

TEST_P(HostileTest, KeepsTheRangeThatItNames) {
    put("u524288.userns");
    put("na.userns");
    auto report = recover(store, [](const Registration&) { return Verdict::kRemove; });
    ASSERT_TRUE(report);
    // A record that can be read, of a dead namespace, holds nothing.
    bool readable = std::string_view(GetParam()) == "mismatch";
    EXPECT_EQ(report->links_in_doubt, readable ? 0u : 2u);
    EXPECT_EQ(report->links_removed, readable ? 2u : 0u);
    EXPECT_EQ(store.range_taken(Uid(524288)).value(), readable ? Taken::kFree : Taken::kTaken);
    EXPECT_EQ(store.name_taken("a").value(), readable ? Taken::kFree : Taken::kTaken);
}

}  // namespace
}  // namespace nsr::registry
