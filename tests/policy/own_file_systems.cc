// SPDX-License-Identifier: LGPL-2.1-or-later
// Everything is allowed where it dies with the namespace.
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>

#include "acl.h"
#include "io_uring.h"
#include "makers.h"
#include "mounts.h"
#include "overlay.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr As kInside{.mounts = true};

/// Mounted inside at a directory of the stage's, and used by `use`.
Attempt mounted(Stage& stage, const char* type, const Body& use, unsigned extra_namespaces = 0) {
    return tried(stage.inside(kInside, [&] {
        if (extra_namespaces != 0 && ::unshare(static_cast<int>(extra_namespaces)) < 0) return lacking(errno);
        if (::mount("channels", stage.dir().c_str(), type, 0, nullptr) < 0)
            return errno == ENODEV ? lacking(errno) : errno;
        return use();
    }));
}

Attempt on_tmpfs(Stage& stage, const std::function<int(const std::string& at)>& use) {
    return mounted(stage, "tmpfs", [&] { return use(stage.dir()); });
}

int other_users(const std::string& at) {
    if (::chmod(at.c_str(), 01777) < 0) return errno;
    if (::setresgid(7, 7, 7) < 0 || ::setresuid(7, 7, 7) < 0) return lacking(errno);
    return allowed_all(at);
}

int change_everything(const std::string& at) {
    const std::string f = at + "/f", d = at + "/d";
    if (const int code = make_file(f); code != 0) return code;
    if (const int code = make_directory(d); code != 0) return code;
    if (::chown(f.c_str(), 7, 8) < 0 || ::chown(d.c_str(), 7, 8) < 0) return errno;
    if (::chmod(d.c_str(), 02777) < 0) return errno;
    if (const int code = allowed_all(d); code != 0) return code;
    if (::link(f.c_str(), (at + "/l").c_str()) < 0) return errno;
    if (::renameat2(AT_FDCWD, f.c_str(), AT_FDCWD, (at + "/g").c_str(), RENAME_WHITEOUT) < 0) return errno;
    return make_temporary_file(at, at + "/t");
}

int add_acls_there(const std::string& at) {
    const std::string d = at + "/d";
    if (const int code = make_directory(d); code != 0) return code;
    for (const char* name : {"system.posix_acl_access", "system.posix_acl_default"})
        if (const int code = set_acl(d, name, acl_for(kUserTag, 5, 30), 0); code != 0) return code;
    return allowed_all(d);
}

int add_capability_there(const std::string& at) {
    if (const int code = make_file(at + "/f"); code != 0) return code;
    return set_acl(at + "/f", "security.capability", capability(), 0);
}

int by_ring(const std::string& at) {
    const std::string path = at + "/d";
    Ring ring(0);
    if (ring.code() != 0) return lacking(ring.code());
    io_uring_sqe entry = path_entry(IORING_OP_MKDIRAT, path, 0755);
    entry.flags = IOSQE_ASYNC;
    const int result = ring.run(entry);
    return result < 0 ? -result : 0;
}

int overlay_there(const std::string& at) {
    const Layers layers = make_layers(at);
    if (const int code = mount_overlay(layers, layers.options() + ",userxattr"); code != 0) return code;
    if (const int code = allowed_all(layers.merged, Whiteouts::kNone); code != 0) return code;
    return code_of(::chown((layers.merged + "/mkdir").c_str(), 7, 7));
}

int read_only_overlay_there(const std::string& at) {
    const Layers layers = make_layers(at);
    return mount_overlay(layers, layers.options(), MS_RDONLY);
}

int by_context(const std::string& at) {
    const std::string below = at + "/below";
    if (const int code = make_directory(below); code != 0) return code;
    if (const int code = mount_by_context("tmpfs", {{"mode", "0755"}}, below); code != 0) return code;
    return allowed_all(below);
}

/// Mounted above, used further down with an id of its own.
int from_nested(const std::string& at) {
    if (::chmod(at.c_str(), 0777) < 0 || ::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
    return allowed_all(at);
}

Attempt devpts(Stage& stage) {
    return mounted(stage, "devpts", [&] {
        const UniqueFd master(::open(stage.path("ptmx").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
        // The node may have mode 0; that is for whoever mounts it to say.
        if (!master && errno == EACCES) return 0;
        if (!master) return errno;
        return code_of(::chown(stage.path("0").c_str(), 7, 7));
    });
}

Attempt own_mqueue(Stage& stage) {
    return mounted(
        stage, "mqueue",
        [&] {
            if (const int code = make_file(stage.path("q")); code != 0) return code;
            return code_of(::chown(stage.path("q").c_str(), 7, 7));
        },
        CLONE_NEWIPC);
}

}  // namespace

void add_own_file_systems(Table& table) {
    const auto add = [&](const char* name, int (*use)(const std::string&)) {
        table.control(name, Where::kOnce, [use](Stage& stage) { return on_tmpfs(stage, use); });
    };
    add("own tmpfs: all makers", [](const std::string& at) { return allowed_all(at); });
    add("own tmpfs: all makers, another user", other_users);
    add("own tmpfs: chown, set-group-ID, link, whiteout, O_TMPFILE", change_everything);
    add("own tmpfs: ACLs", add_acls_there);
    add("own tmpfs: file capability", add_capability_there);
    add("own tmpfs: io_uring", by_ring);
    add("own tmpfs: from further down", from_nested);
    add("own tmpfs: by fsopen", by_context);
    add("own overlay over an own tmpfs", overlay_there);
    add("own overlay over an own tmpfs, read-only", read_only_overlay_there);
    table.control("own ramfs: all makers", Where::kOnce,
                  [](Stage& stage) { return mounted(stage, "ramfs", [&] { return allowed_all(stage.dir()); }); });
    table.control("own devpts", Where::kOnce, devpts);
    table.control("own mqueue", Where::kOnce, own_mqueue);
}

}  // namespace nsr::channels
