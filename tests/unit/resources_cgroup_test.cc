// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <cstddef>
#include <map>

#include "resources_scratch.h"

namespace nsr::resources {
namespace {

const std::vector<std::string> kGiven{"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"};

struct Access {
    uid_t uid;
    gid_t gid;
    mode_t mode;
    bool operator==(const Access&) const = default;
};

std::map<std::string, Access> accesses(const ScratchCgroup& cgroup) {
    std::map<std::string, Access> all;
    auto names = sys::list_directory(sys::kCwd, cgroup.path);
    EXPECT_TRUE(names);
    names->push_back("");
    for (const auto& name : *names) {
        struct stat st{};
        std::string file = name.empty() ? "" : "/" + name;
        if (name == "." || name == "..") continue;
        EXPECT_EQ(stat((cgroup.path + file).c_str(), &st), 0);
        all[file] = {st.st_uid, st.st_gid, st.st_mode & 07777};
    }
    return all;
}

int code_of(UniqueFd fd) {
    auto made = Cgroup::from_descriptor(std::move(fd));
    return made ? 0 : made.error().code();
}

Status delegate(const Cgroup& cgroup, Uid uid, Gid gid) {
    auto handover = TRY(cgroup.prepare_handover());
    Status given = handover.give(uid, gid);
    if (!given) TRY(handover.take_back());
    return given;
}

TEST(Cgroup, GivesTheDirectoryAndThreeFiles) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    chmod(scratch.path.c_str(), 0700);
    chmod((scratch.path + "/cgroup.procs").c_str(), 0666);
    auto expected = accesses(scratch);
    auto cgroup = Cgroup::from_descriptor(scratch.open());
    ASSERT_TRUE(cgroup) << cgroup.error().what();
    EXPECT_EQ(cgroup->id(), scratch.id());
    EXPECT_EQ(*cgroup->owner(), Uid(0));
    ASSERT_TRUE(delegate(*cgroup, Uid(524288), Gid(589824)));
    EXPECT_EQ(*cgroup->owner(), Uid(524288));
    for (const auto& file : kGiven) expected[file] = {524288, 589824, file.empty() ? 0755u : 0644u};
    EXPECT_EQ(accesses(scratch), expected);
    EXPECT_GT(expected.size(), kGiven.size());
}

TEST(Cgroup, RefusesWhatIsNone) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (const char* path : {"/", "/etc/passwd", "/dev/null", "/proc/self/ns/user", "/sys/fs/cgroup/cpu"}) {
        if (access(path, F_OK) < 0) continue;
        EXPECT_EQ(code_of(UniqueFd(open(path, O_RDONLY | O_CLOEXEC))), EINVAL) << path;
    }
    auto file = sys::open_at(sys::kCwd, scratch.path + "/cgroup.procs", O_RDONLY);
    EXPECT_EQ(code_of(std::move(*file)), EINVAL);
}

TEST(Cgroup, RefusesTheRootOfTheTree) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    EXPECT_EQ(code_of(std::move(*open_cgroup_mount())), EINVAL);
}

TEST(Cgroup, TakesTheRootOfABindMount) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    EXPECT_EQ(in_child([&] {
                  if (unshare(CLONE_NEWNS) < 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) < 0)
                      return 1;
                  if (mount(scratch.path.c_str(), "/tmp", nullptr, MS_BIND, nullptr) < 0) return 2;
                  return code_of(UniqueFd(open("/tmp", O_RDONLY | O_CLOEXEC)));
              }),
              0);
}

TEST(Cgroup, RefusesUnusualOpenFlags) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    for (int flags : {O_PATH, O_RDONLY | O_NONBLOCK, O_RDONLY | O_NOATIME})
        EXPECT_EQ(code_of(scratch.open(flags)), EREMOTEIO) << flags;
    for (int flags : {O_RDONLY, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW})
        EXPECT_EQ(code_of(scratch.open(flags)), 0);
}

TEST(Cgroup, RefusesARemovedOne) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    auto fd = scratch.open();
    rmdir(scratch.path.c_str());
    EXPECT_EQ(code_of(std::move(fd)), ENODEV);
}

TEST(Cgroup, RefusesARemovedOneLater) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    auto cgroup = Cgroup::from_descriptor(scratch.open());
    ASSERT_TRUE(cgroup);
    rmdir(scratch.path.c_str());
    EXPECT_FALSE(delegate(*cgroup, Uid(524288), Gid(524288)));
}

TEST(Cgroup, GivesNothingThatIsMountedOverItsFiles) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    auto before = accesses(scratch);
    char secret[] = "/tmp/nsr-secret-XXXXXX";
    close(mkstemp(secret));
    // What somebody can do who is root of a mount namespace, and then send the descriptor from there.
    int result = in_child([&] {
        std::string procs = scratch.path + "/cgroup.procs";
        if (unshare(CLONE_NEWNS) < 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) < 0) return 1;
        if (mount(secret, procs.c_str(), nullptr, MS_BIND, nullptr) < 0) return 2;
        auto cgroup = Cgroup::from_descriptor(scratch.open());
        if (!cgroup) return 3;
        Status given = delegate(*cgroup, Uid(524288), Gid(524288));
        return given ? 4 : given.error().code() == EXDEV ? 0 : 5;
    });
    EXPECT_EQ(result, 0);
    EXPECT_EQ(accesses(scratch), before);
    struct stat st{};
    EXPECT_EQ(stat(secret, &st), 0);
    EXPECT_EQ(st.st_uid, 0u);
    unlink(secret);
}

// From here on fchmod(…, mode) fails in this process.
int deny_mode(mode_t mode) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmod, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mode, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program{std::size(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

TEST(Cgroup, TakesEverythingBackAfterAFailure) {
    ScratchCgroup scratch;
    NEEDS_CGROUP(scratch);
    chmod(scratch.path.c_str(), 0710);
    chmod((scratch.path + "/cgroup.threads").c_str(), 0600);
    EXPECT_EQ(chown((scratch.path + "/cgroup.procs").c_str(), 77, 78), 0);
    auto before = accesses(scratch);
    int result = in_child([&] {
        auto cgroup = Cgroup::from_descriptor(scratch.open());
        if (!cgroup || deny_mode(0755) < 0) return 1;  // the last step
        Status given = delegate(*cgroup, Uid(524288), Gid(524288));
        return given ? 2 : given.error().code() == EIO ? 0 : 3;
    });
    EXPECT_EQ(result, 0);
    EXPECT_EQ(accesses(scratch), before);
}

}  // namespace
}  // namespace nsr::resources
