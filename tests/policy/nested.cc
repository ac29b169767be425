// SPDX-License-Identifier: LGPL-2.1-or-later
// Managed namespaces in managed namespaces, and what the outer one has mounted.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "makers.h"
#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// A tmpfs that belongs to the namespace, for everybody to write, as a mount that is attached nowhere.
UniqueFd tmpfs_of(const Space& space) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    if (!pair) return UniqueFd();
    inside(space, {.mounts = true}, [&] {
        const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
        if (!context || configure(context, {{"mode", "0777"}}) != 0 ||
            ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
            return errno;
        const UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
        return send_descriptor(pair->first.borrow(), mount.borrow());
    });
    return receive_descriptor(pair->second.borrow());
}

std::string path_of(const UniqueFd& mount) { return "/proc/self/fd/" + std::to_string(mount.get()); }

Attempt on_tmpfs_of(const Space& owner, const Space& user, bool channel) {
    const UniqueFd mount = tmpfs_of(owner);
    if (!mount) return went_wrong("no tmpfs");
    Attempt attempt =
        tried(inside(user, {}, [&] { return channel ? refused_all(path_of(mount)) : allowed_all(path_of(mount)); }));
    if (channel)
        for (const auto& line : transient_files(path_of(mount) + "/.")) attempt.remains.push_back(line);
    return attempt;
}

/// What the namespace that owns the tmpfs has on it is its own business.
Attempt by_another(Stage& stage) {
    auto other = allocate(stage.socket(), {.uid = 1005});
    if (!other) return went_wrong(other.error().what());
    const UniqueFd mount = tmpfs_of(*other);
    if (!mount) return went_wrong("no tmpfs");
    const Remains before = transient_files(path_of(mount) + "/.");
    const int code = stage.inside([&] { return refused_all(path_of(mount)); });
    return tried(code, added(before, transient_files(path_of(mount) + "/.")));
}

Attempt by_inner(Stage& stage) {
    auto outer = allocate(stage.socket(), {.uid = 1005, .delegates = 1});
    if (!outer) return went_wrong(outer.error().what());
    auto inner = allocate(stage.socket(), {.uid = 0, .parent = &*outer});
    if (!inner) return went_wrong(inner.error().what());
    const UniqueFd mount = tmpfs_of(*outer);
    if (!mount) return went_wrong("no tmpfs");
    const Remains before = transient_files(path_of(mount) + "/.");
    const int code = inside(*inner, {}, [&] { return refused_all(path_of(mount)); });
    return tried(code, added(before, transient_files(path_of(mount) + "/.")));
}

Attempt self_on_outer(Stage& stage) {
    auto self = allocate(stage.socket(), {.uid = 0, .parent = &stage.managed(), .self = true});
    if (!self) return went_wrong(self.error().what());
    return on_tmpfs_of(stage.managed(), *self, false);
}

Attempt inner_on_own(Stage& stage) {
    auto outer = allocate(stage.socket(), {.uid = 1005, .delegates = 1});
    if (!outer) return went_wrong(outer.error().what());
    auto inner = allocate(stage.socket(), {.uid = 0, .parent = &*outer});
    if (!inner) return went_wrong(inner.error().what());
    return on_tmpfs_of(*inner, *inner, false);
}

Attempt delegated_on_own(Stage& stage) {
    const UniqueFd mount = tmpfs_of(stage.managed());
    if (!mount) return went_wrong("no tmpfs");
    const uint32_t id = stage.managed().delegated;
    return tried(stage.inside({.uid = id, .gid = id}, [&] { return allowed_all(path_of(mount)); }));
}

Attempt nested_on_outer(Stage& stage) {
    const Map map{{0, 0, kRangeSize}};
    auto nested = unmanaged(map, map, &stage.managed());
    if (!nested) return went_wrong(nested.error().what());
    return on_tmpfs_of(stage.managed(), *nested, false);
}

Attempt nested_on_own(Stage& stage) {
    const Map map{{0, 50, 100}};
    auto nested = unmanaged(map, map, &stage.managed());
    if (!nested) return went_wrong(nested.error().what());
    return on_tmpfs_of(*nested, *nested, false);
}

Attempt foreign_only(Stage& stage) {
    const Map map{{0, kForeign, 10}};
    auto nested = unmanaged(map, map, &stage.managed());
    if (!nested) return went_wrong(nested.error().what());
    return tried(inside(*nested, {}, [&] { return allowed_all(stage.dir()); }));
}

}  // namespace

void add_nested(Table& table) {
    table.channel("tmpfs of another managed namespace", Where::kOnce, by_another)
        .accept(EOVERFLOW, "the ids are not mapped where the file system belongs")
        .anyway("the ids are not mapped where the file system belongs");
    table.channel("tmpfs of the outer one, inner range", Where::kOnce, by_inner);
    table.control("tmpfs of the outer one, self namespace inside", Where::kOnce, self_on_outer);
    table.control("tmpfs of the outer one, unmanaged namespace inside", Where::kOnce, nested_on_outer);
    table.control("tmpfs of its own, unmanaged namespace further down", Where::kOnce, nested_on_own);
    table.control("tmpfs of its own, delegated id", Where::kOnce, delegated_on_own);
    table.control("tmpfs of its own, inner managed namespace", Where::kOnce, inner_on_own);
    table.control("nested namespace of foreign ids alone", Where::kEach, foreign_only);
}

}  // namespace nsr::channels
