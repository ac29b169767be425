// SPDX-License-Identifier: LGPL-2.1-or-later
// Mounts that store other ids than those that a process has: what is stored is what counts.
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstring>

#include "acl.h"
#include "makers.h"
#include "mounts.h"
#include "overlay.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// A detached mount of the stage's directory with these maps, from stored ids (inside) to seen ones (outside).
struct Mapped {
    UniqueFd tree;
    Attempt failure;

    std::string path() const { return "/proc/self/fd/" + std::to_string(tree.get()); }
    bool is_there() const { return static_cast<bool>(tree); }
};

Mapped map_mount(Stage& stage, const Map& uids, const Map& gids) {
    auto space = unmanaged(uids, gids);
    if (!space) return {UniqueFd(), went_wrong(space.error().what())};
    // Nobody may write into a directory whose owner the mount does not show.
    if (::chown(stage.dir().c_str(), uids[0].inside, gids[0].inside) < 0) return {UniqueFd(), went_wrong("no owner")};
    stage.note_prepared();
    UniqueFd tree = clone_tree(stage.dir());
    if (const int code = map_ids(tree, space->fd); code != 0)
        return {UniqueFd(), not_here(fmt::format("no id-mapped mounts here ({})", errno_name(code)))};
    return {std::move(tree), {}};
}

Map foreign_map(Stage& stage) { return {{kForeign, stage.start(), kRangeSize}}; }

/// Each of a few ids somewhere else, in more extents than are kept in one place.
Map scattered_map(Stage& stage, bool last_is_transient) {
    Map map;
    for (uint32_t i = 0; i < 12; ++i) map.push_back({kForeign + 100 * i, stage.start() + i, 1});
    if (last_is_transient) map.back().inside = stage.start() + 60000;
    return map;
}

Attempt refused_on(Stage& stage, const Map& uids, const Map& gids, const As& as) {
    const Mapped mount = map_mount(stage, uids, gids);
    if (!mount.is_there()) return mount.failure;
    return tried(stage.inside(as, [&] { return refused_all(mount.path()); }));
}

Attempt allowed_on(Stage& stage, const Map& map, const As& as, uint32_t stored) {
    const Mapped mount = map_mount(stage, map, map);
    if (!mount.is_there()) return mount.failure;
    const int code = stage.inside(as, [&] { return allowed_all(mount.path()); });
    if (code != 0) return tried(code);
    for (const char* name : {"open", "openat2", "mkdir", "fifo", "symlink", "stream", "white"})
        if (const int wrong = check_owner(stage.path(name), stored, stored); wrong != 0) return tried(wrong);
    return tried(0);
}

Attempt temporary_file_on(Stage& stage) {
    const Mapped mount = map_mount(stage, foreign_map(stage), foreign_map(stage));
    if (!mount.is_there()) return mount.failure;
    const int code = stage.inside([&] { return make_temporary_file(mount.path(), mount.path() + "/linked"); });
    return tried(code != 0 ? code : check_owner(stage.path("linked"), kForeign, kForeign));
}

Attempt change_on(Stage& stage, const Map& map, const std::function<int(const std::string& path)>& change) {
    if (!stage.file("f", kForeign, kForeign, 0755)) return went_wrong("no file");
    const Mapped mount = map_mount(stage, map, map);
    if (!mount.is_there()) return mount.failure;
    // Seen without the mount: what is stored.
    const int code = stage.inside([&] { return change(mount.path() + "/f"); });
    return tried(code, stage.remains());
}

int own(const std::string& path) { return code_of(::chown(path.c_str(), 0, 0)); }
int own_by_last(const std::string& path) { return code_of(::chown(path.c_str(), 11, 11)); }
int add_entry(const std::string& path) { return set_acl(path, "system.posix_acl_access", acl_for(kUserTag, 3), 0); }
int add_last_entry(const std::string& path) {
    return set_acl(path, "system.posix_acl_access", acl_for(kUserTag, 11), 0);
}
int add_capability(const std::string& path) { return set_acl(path, "security.capability", capability(), 0); }

int leave_whiteout(const std::string& path) {
    return code_of(::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, (path + ".moved").c_str(), RENAME_WHITEOUT));
}
int create_subvolume(const std::string& path) {
    const UniqueFd directory(::open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    btrfs_ioctl_vol_args arguments{};
    std::strcpy(arguments.name, "sub");
    return code_of(::ioctl(directory.get(), BTRFS_IOC_SUBVOL_CREATE, &arguments));
}

Map other_map(Stage& stage) {
    return {{kForeign, kForeign, 1}, {stage.start() + kRangeSize, stage.start(), kRangeSize}};
}

Attempt link_on(Stage& stage) {
    return change_on(stage, foreign_map(stage),
                     [](const std::string& path) { return code_of(::link(path.c_str(), (path + ".linked").c_str())); });
}

/// A call that fails early on the mapped mount must not help the next one on the plain one.
Attempt stale_note(Stage& stage, bool temporary) {
    if (!stage.directory("there", 0, 0)) return went_wrong("no directory");
    const Mapped mount = map_mount(stage, foreign_map(stage), foreign_map(stage));
    if (!mount.is_there()) return mount.failure;
    return tried(stage.inside([&] {
        Refusals refusals;
        for (const auto& maker : makers()) {
            if (const int code = code_of(::mkdir((mount.path() + "/there").c_str(), 0755)); code != EEXIST)
                return lacking(code);
            if (const int code = maker.make(stage.dir()); code >= 0) refusals.add(code);
        }
        if (temporary) refusals.add(make_temporary_file(stage.dir(), stage.path("linked")));
        return refusals.code();
    }));
}

/// The directory's own stored group is handed down, whatever the mount makes of it.
Attempt in_set_group_id(Stage& stage) {
    if (!stage.directory("d", kForeign, stage.start() + 500, 02777)) return went_wrong("no directory");
    const Map map{{kForeign, stage.start(), 100}, {stage.start() + 500, stage.start() + 500, 1}};
    const Mapped mount = map_mount(stage, map, map);
    if (!mount.is_there()) return mount.failure;
    return tried(stage.inside([&] { return refused_all(mount.path() + "/d"); }));
}

Attempt overlay_on(Stage& stage, const Map& map, bool channel) {
    const Layers layers = host_layers(stage, kForeign);
    const Mapped mount = map_mount(stage, map, map);
    if (!mount.is_there()) return mount.failure;
    const std::string at = stage.scratch() + "/mapped";
    ::mkdir(at.c_str(), 0755);
    if (const int code = move_tree(mount.tree, at); code != 0) return tried(lacking(code));
    const int code = stage.inside({.mounts = true}, [&] {
        const Layers seen{at + "/lower", at + "/upper", at + "/work", layers.merged};
        if (const int mounted = mount_overlay(seen, seen.options() + ",userxattr"); mounted != 0) return mounted;
        return channel ? 0 : allowed_all(layers.merged, Whiteouts::kNone);
    });
    ::umount2(at.c_str(), MNT_DETACH);
    return tried(code);
}

}  // namespace

void add_idmapped(Table& table) {
    table.channel("id-mapped to other transient ids", Where::kEach, [](Stage& s) {
        const Map map{{s.start() + kRangeSize, s.start(), kRangeSize}};
        return refused_on(s, map, map, {});
    });
    table.channel("id-mapped, user foreign and group transient", Where::kEach, [](Stage& s) {
        return refused_on(s, foreign_map(s), {{s.start() + kRangeSize, s.start(), kRangeSize}}, {});
    });
    table.channel("id-mapped, user transient and group foreign", Where::kEach, [](Stage& s) {
        return refused_on(s, {{s.start() + kRangeSize, s.start(), kRangeSize}}, foreign_map(s), {});
    });
    table.channel("id-mapped, foreign ids become transient", Where::kEach, [](Stage& s) {
        const Map map{{s.start(), kForeign, kRangeSize}};
        return refused_on(s, map, map, {.uid = kForeign, .gid = kForeign});
    });
    table.channel("id-mapped, last of 12 extents is transient", Where::kEach, [](Stage& s) {
        const Map map = scattered_map(s, true);
        return refused_on(s, map, map, {.uid = 11, .gid = 11});
    });
    table.channel("id-mapped, chown to transient ids", Where::kEach,
                  [](Stage& s) { return change_on(s, scattered_map(s, true), own_by_last); });
    table.channel("id-mapped, ACL entry becomes transient", Where::kEach,
                  [](Stage& s) { return change_on(s, scattered_map(s, true), add_last_entry); });
    table.channel("id-mapped, RENAME_WHITEOUT", Where::kEach,
                  [](Stage& s) { return change_on(s, other_map(s), leave_whiteout); });
    table.channel("id-mapped, btrfs subvolume", Where::kBtrfs,
                  [](Stage& s) { return change_on(s, other_map(s), create_subvolume); });
    table.channel("id-mapped, set-group-ID directory", Where::kEach, in_set_group_id);
    table.channel("mkdir fails on a mapped mount, then the plain one", Where::kEach,
                  [](Stage& s) { return stale_note(s, false); });
    table.channel("the same with O_TMPFILE", Where::kEach, [](Stage& s) { return stale_note(s, true); });
    table.channel("overlay, upper layer id-mapped to transient ids", Where::kEach,
                  [](Stage& s) { return overlay_on(s, other_map(s), true); });
    table.control("id-mapped to foreign ids, and the owner is right", Where::kEach,
                  [](Stage& s) { return allowed_on(s, foreign_map(s), {}, kForeign); });
    table.control("id-mapped to foreign ids, another user", Where::kEach,
                  [](Stage& s) { return allowed_on(s, foreign_map(s), {.uid = 7, .gid = 7}, kForeign + 7); });
    table.control("id-mapped by 12 extents", Where::kEach, [](Stage& s) {
        return allowed_on(s, scattered_map(s, true), {.uid = 10, .gid = 10}, kForeign + 1000);
    });
    table.control("id-mapped, O_TMPFILE", Where::kEach, temporary_file_on);
    table.control("id-mapped, whiteout of foreign ids", Where::kEach,
                  [](Stage& s) { return change_on(s, foreign_map(s), leave_whiteout); });
    table.control("id-mapped, btrfs subvolume of foreign ids", Where::kBtrfs,
                  [](Stage& s) { return change_on(s, foreign_map(s), create_subvolume); });
    table.control("id-mapped, link", Where::kEach, link_on);
    table.control("id-mapped, chown", Where::kEach, [](Stage& s) { return change_on(s, foreign_map(s), own); });
    table.control("id-mapped, ACL entry", Where::kEach,
                  [](Stage& s) { return change_on(s, foreign_map(s), add_entry); });
    table.control("id-mapped, file capability", Where::kEach,
                  [](Stage& s) { return change_on(s, foreign_map(s), add_capability); });
    table.control("overlay, upper layer id-mapped to foreign ids", Where::kEach,
                  [](Stage& s) { return overlay_on(s, foreign_map(s), false); });
}

}  // namespace nsr::channels
