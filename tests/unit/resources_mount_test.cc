// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/mount.h"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "resources_scratch.h"

namespace nsr::resources {
namespace {

// A detached tmpfs; -1 if that failed.
int make_tmpfs() {
    UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
    if (syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return -1;
    return static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0));
}

int open_tree(const char* path, unsigned flags) {
    return static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path, flags | O_CLOEXEC));
}

int code_of(int fd) {
    auto made = Mount::from_descriptor(UniqueFd(fd));
    return made ? 0 : made.error().code();
}

std::optional<UniqueFd> pin_of(UniqueFd fd) {
    auto mount = Mount::from_descriptor(std::move(fd));
    EXPECT_TRUE(mount) << mount.error().what();
    auto pin = mount->pin();
    EXPECT_TRUE(pin) << pin.error().what();
    return std::move(*pin);
}

TEST(Mount, TakesDirectoriesOnly) {
    NEEDS_ROOT();
    EXPECT_EQ(code_of(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 0);
    EXPECT_EQ(code_of(open("/tmp", O_RDONLY | O_CLOEXEC)), 0);
    EXPECT_EQ(code_of(open("/tmp", O_PATH | O_CLOEXEC)), 0);
    EXPECT_EQ(code_of(open_tree("/tmp", OPEN_TREE_CLONE)), 0);
    EXPECT_EQ(code_of(make_tmpfs()), 0);
    for (int flags : {O_RDONLY, O_PATH}) EXPECT_EQ(code_of(open("/etc/passwd", flags | O_CLOEXEC)), ENOTDIR);
    EXPECT_EQ(code_of(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)), ENOTDIR);
    EXPECT_EQ(code_of(open("/tmp", O_RDONLY | O_NONBLOCK | O_CLOEXEC)), EREMOTEIO);
    EXPECT_EQ(code_of(open("/dev/null", O_RDWR | O_CLOEXEC)), EREMOTEIO);
}

TEST(Mount, KnowsAMountFromItsCopy) {
    NEEDS_ROOT();
    auto root = Mount::from_descriptor(UniqueFd(open_tree("/proc", 0)));
    auto below = Mount::from_descriptor(UniqueFd(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    auto copy = Mount::from_descriptor(UniqueFd(open_tree("/proc", OPEN_TREE_CLONE)));
    ASSERT_TRUE(root && below && copy);
    EXPECT_NE(root->id(), 0u);
    EXPECT_EQ(root->id(), below->id());
    EXPECT_NE(root->id(), copy->id());
}

TEST(Mount, PinsATmpfsOfTheHost) {
    NEEDS_ROOT();
    UniqueFd tmpfs(make_tmpfs());
    ASSERT_TRUE(tmpfs);
    ASSERT_EQ(mkdirat(tmpfs.get(), "kept", 0755), 0);
    auto pin = pin_of(std::move(tmpfs));
    if (!pin) GTEST_SKIP() << "this kernel does not say who owns a tmpfs (6.9 and newer do)";
    EXPECT_EQ(fcntl(pin->get(), F_GETFL) & O_PATH, 0);  // systemd would not store it
    EXPECT_TRUE(sys::stat_at(pin->borrow(), "kept")) << "gone with the descriptor that it came with";
}

// Who may keep a user namespace alive: the file system that it owns, the opener's credentials in a descriptor, the
// nameless mount namespace of a detached mount.
struct Case {
    const char* name;
    int (*make)();
};

class MountLife : public testing::TestWithParam<Case> {};

TEST_P(MountLife, APinKeepsNoNamespaceAlive) {
    NEEDS_ROOT();
    auto prober = namespaces::Prober::create();
    ASSERT_TRUE(prober);
    if (!prober->works()) GTEST_SKIP() << "this kernel has no nsfs file handles (6.18 and newer have)";
    Inside inside(CLONE_NEWNS, GetParam().make);
    NsIdentity identity = inside.identity();
    auto pin = pin_of(std::move(inside.made));
    inside.end();
    EXPECT_EQ(wait_for_death(*prober, identity), namespaces::Life::kDead);
}

INSTANTIATE_TEST_SUITE_P(
    AllKinds, MountLife,
    testing::Values(Case{"OwnTmpfs", make_tmpfs},
                    Case{"OwnTmpfsAttached",
                         [] { return mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) < 0 ? -1 : open("/mnt", O_RDONLY); }},
                    Case{"Copy", [] { return open_tree("/tmp", OPEN_TREE_CLONE | AT_RECURSIVE); }},
                    Case{"OfTheHost", [] { return open("/tmp", O_RDONLY | O_DIRECTORY); }},
                    Case{"OwnProcDirectory", [] { return open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY); }}),
    [](const auto& kind) { return kind.param.name; });

TEST(Mount, AnIdMappedPinKeepsNoNamespaceAlive) {
    NEEDS_ROOT();
    auto prober = namespaces::Prober::create();
    ASSERT_TRUE(prober);
    if (!prober->works()) GTEST_SKIP() << "this kernel has no nsfs file handles (6.18 and newer have)";
    Inside inside(0);
    NsIdentity identity = inside.identity();
    UniqueFd userns = inside.open_namespace("user");
    UniqueFd copy(open_tree("/tmp", OPEN_TREE_CLONE));
    struct mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<__u64>(userns.get());
    if (syscall(SYS_mount_setattr, copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
        GTEST_SKIP() << "/tmp cannot be id-mapped";
    auto pin = pin_of(std::move(copy));
    userns.reset();
    inside.made.reset();
    inside.end();
    EXPECT_EQ(wait_for_death(*prober, identity), namespaces::Life::kDead);
}

}  // namespace
}  // namespace nsr::resources
