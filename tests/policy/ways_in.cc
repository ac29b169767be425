// SPDX-License-Identifier: LGPL-2.1-or-later
// The same directory of the host by other ways: descriptors, mounts, /proc, nested namespaces.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "base/sys.h"
#include "makers.h"
#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

std::string descriptor_path(const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

Attempt inherited_descriptor(Stage& stage, int flags) {
    const UniqueFd fd(::open(stage.dir().c_str(), flags | O_DIRECTORY | O_CLOEXEC));
    return tried(stage.inside([&] {
        Refusals refusals;
        refusals.add(code_of(::mkdirat(fd.get(), "dir", 0755)));
        refusals.add(code_of(UniqueFd(::openat(fd.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)).get()));
        refusals.add(code_of(::symlinkat("x", fd.get(), "link")));
        refusals.add(code_of(::mknodat(fd.get(), "fifo", S_IFIFO | 0644, 0)));
        refusals.add(refused_all(descriptor_path(fd)));
        return refusals.code();
    }));
}

Attempt by_file_handle(Stage& stage) {
    // Opened by its handle outside: it makes no difference how root came to the descriptor.
    alignas(file_handle) char memory[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
    auto* handle = reinterpret_cast<file_handle*>(memory);
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    if (::name_to_handle_at(AT_FDCWD, stage.dir().c_str(), handle, &mount_id, 0) < 0)
        return not_here("no file handles here");
    const UniqueFd mount(::open(stage.dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd fd(::open_by_handle_at(mount.get(), handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return not_here("open_by_handle_at fails");
    return tried(stage.inside([&] { return refused_all(descriptor_path(fd)); }));
}

Attempt by_proc_root(Stage& stage) {
    return tried(stage.inside({.mounts = true}, [&] { return refused_all("/proc/self/root" + stage.dir()); }));
}

Attempt by_chroot(Stage& stage) {
    return tried(stage.inside([&] {
        if (::chroot(stage.dir().c_str()) < 0 || ::chdir("/") < 0) return lacking(errno);
        Refusals refusals;
        refusals.add(make_file("/file"));
        refusals.add(make_directory("/dir"));
        refusals.add(code_of(::symlink("x", "/link")));
        return refusals.code();
    }));
}

Attempt in_own_mount_namespace(Stage& stage) {
    return tried(stage.inside({.mounts = true}, [&] { return refused_all(stage.dir()); }));
}

Attempt by_bind_mount(Stage& stage, unsigned long extra) {
    if (!stage.directory("d", 0, 0) || !stage.directory("mnt", 0, 0)) return went_wrong("no directory");
    return tried(stage.inside({.mounts = true}, [&] {
        if (::mount(stage.path("d").c_str(), stage.path("mnt").c_str(), nullptr, MS_BIND | extra, nullptr) < 0)
            return lacking(errno);
        return refused_all(stage.path("mnt"));
    }));
}

Attempt by_cloned_tree(Stage& stage) {
    return tried(stage.inside({.mounts = true}, [&] {
        const UniqueFd tree = clone_tree(stage.dir());
        return tree ? refused_all(descriptor_path(tree)) : lacking(errno);
    }));
}

/// A tmpfs of its own above, the host's directory bound into it.
Attempt bound_into_own_tmpfs(Stage& stage) {
    if (!stage.directory("mnt", 0, 0) || !stage.directory("d", 0, 0)) return went_wrong("no directory");
    return tried(stage.inside({.mounts = true}, [&] {
        const UniqueFd tree = clone_tree(stage.path("d"));
        if (!tree || ::mount("t", stage.path("mnt").c_str(), "tmpfs", 0, nullptr) < 0) return lacking(errno);
        const std::string at = stage.path("mnt") + "/at";
        if (::mkdir(at.c_str(), 0777) < 0 || move_tree(tree, at) != 0) return lacking(errno);
        return refused_all(at);
    }));
}

Attempt added_mount(Stage& stage) {
    UniqueFd fd(::open(stage.dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto space = allocate(stage.socket(), {.uid = 1002});
    if (!space) return went_wrong(space.error().what());
    const Status added =
        call_as_root(stage.socket(), "AddMountToUserNamespace", *space, "mountFileDescriptor", std::move(fd));
    if (!added) return went_wrong(added.error().what());
    return tried(inside(*space, {}, [&] { return refused_all(stage.dir()); }));
}

Attempt nested_without_map(Stage& stage) {
    return tried(stage.inside([&] {
        if (::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
        return refused_all(stage.dir());
    }));
}

Attempt nested_with(Stage& stage, const Map& map, const As& as) {
    auto space = unmanaged(map, map, &stage.managed());
    if (!space) return went_wrong(space.error().what());
    return tried(inside(*space, as, [&] { return refused_all(stage.dir()); }));
}

/// One level down, with a map, since a namespace without one can have none below it.
int go_down() {
    if (::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
    ::prctl(PR_SET_DUMPABLE, 1);
    const UniqueFd map(::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC));
    if (!map || ::write(map.get(), "0 0 1", 5) != 5) return lacking(errno);
    const UniqueFd groups(::open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC));
    if (!groups || ::write(groups.get(), "deny", 4) != 4) return lacking(errno);
    const UniqueFd group_map(::open("/proc/self/gid_map", O_WRONLY | O_CLOEXEC));
    if (!group_map || ::write(group_map.get(), "0 0 1", 5) != 5) return lacking(errno);
    return 0;
}

Attempt nested_deeply(Stage& stage) {
    return tried(stage.inside([&] {
        for (int depth = 0; depth < 20; ++depth)
            if (const int code = go_down(); code != 0) return code;
        return refused_all(stage.dir());
    }));
}

Attempt nested_managed(Stage& stage, bool self) {
    auto outer = allocate(stage.socket(), {.uid = 1005, .delegates = 1});
    if (!outer) return went_wrong(outer.error().what());
    auto space = allocate(stage.socket(), {.uid = 0, .parent = &*outer, .self = self});
    if (!space) return went_wrong(space.error().what());
    return tried(inside(*space, {}, [&] { return refused_all(stage.dir()); }));
}

}  // namespace

void add_ways_in(Table& table) {
    table.channel("descriptor from outside", Where::kEach, [](Stage& s) { return inherited_descriptor(s, O_RDONLY); });
    table.channel("O_PATH descriptor from outside", Where::kEach,
                  [](Stage& s) { return inherited_descriptor(s, O_PATH); });
    table.channel("directory opened by its handle", Where::kEach, by_file_handle);
    table.channel("/proc/self/root", Where::kEach, by_proc_root);
    table.channel("chroot", Where::kEach, by_chroot);
    table.channel("own mount namespace", Where::kEach, in_own_mount_namespace);
    table.channel("bind mount", Where::kEach, [](Stage& s) { return by_bind_mount(s, 0); });
    table.channel("recursive bind mount", Where::kEach, [](Stage& s) { return by_bind_mount(s, MS_REC); });
    table.channel("cloned mount tree", Where::kEach, by_cloned_tree);
    table.channel("bound into an own tmpfs", Where::kEach, bound_into_own_tmpfs);
    table.channel("AddMountToUserNamespace", Where::kEach, added_mount);
    table.channel("nested namespace without a map", Where::kEach, nested_without_map);
    table.channel("nested namespace, all ids", Where::kEach,
                  [](Stage& s) { return nested_with(s, {{0, 0, kRangeSize}}, {}); });
    table.channel("nested namespace, one id", Where::kEach,
                  [](Stage& s) { return nested_with(s, {{0, 1000, 1}}, {}); });
    table.channel("nested namespace, own mount namespace", Where::kEach,
                  [](Stage& s) { return nested_with(s, {{0, 0, kRangeSize}}, {.mounts = true}); });
    table.channel("20 levels further down", Where::kEach, nested_deeply);
    table.channel("managed namespace in a managed one", Where::kEach,
                  [](Stage& s) { return nested_managed(s, false); });
    table.channel("self namespace in a managed one", Where::kEach, [](Stage& s) { return nested_managed(s, true); });
}

}  // namespace nsr::channels
