// SPDX-License-Identifier: LGPL-2.1-or-later
// Overlays that may be mounted, for the sake of what is written through them afterwards.
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl.h"
#include "makers.h"
#include "overlay.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr As kMounter{.uid = kForeign, .gid = kForeign, .mounts = true, .capable = true};

/// Mounted with foreign ids on foreign layers, which is fine; then written with transient ones.
Attempt after_change(Stage& stage, const std::function<int(const std::string& merged)>& write) {
    const Layers layers = host_layers(stage, kForeign);
    if (!stage.file("lower/foreign", kForeign, kForeign) || !stage.file("lower/own", stage.start(), stage.start()))
        return went_wrong("no file");
    return tried(stage.inside(kMounter, [&] {
        if (const int code = mount_overlay(layers, layers.options() + ",userxattr"); code != 0) return lacking(code);
        if (::setresgid(5, 5, 5) < 0 || ::setresuid(5, 5, 5) < 0) return lacking(errno);
        return write(layers.merged);
    }));
}

int write_into(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return code_of(fd.get());
}

/// An overlay that root of the host mounted, as container managers do.
Attempt mounted_by_host(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    if (const int code = mount_overlay(layers, layers.options()); code != 0) return tried(lacking(code));
    const int code = stage.inside([&] { return refused_all(layers.merged); });
    ::umount2(layers.merged.c_str(), MNT_DETACH);
    return tried(code);
}

Attempt mounted_by_host_and_chowned(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    if (!stage.file("lower/f", kForeign, kForeign)) return went_wrong("no file");
    if (const int code = mount_overlay(layers, layers.options()); code != 0) return tried(lacking(code));
    const int code = stage.inside([&] { return code_of(::chown((layers.merged + "/f").c_str(), 5, 5)); });
    ::umount2(layers.merged.c_str(), MNT_DETACH);
    return tried(code);
}

Attempt foreign_copy_up(Stage& stage) {
    const Layers layers = host_layers(stage, kForeign);
    if (!stage.file("lower/f", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside(kMounter, [&] {
        if (const int code = mount_overlay(layers, layers.options() + ",userxattr"); code != 0) return code;
        if (const int code = write_into(layers.merged + "/f"); code != 0) return code;
        return code_of(::unlink((layers.merged + "/f").c_str()));
    }));
}

}  // namespace

void add_overlay_writes(Table& table) {
    const auto through = [&](const char* what, std::function<int(const std::string&)> write) {
        table.channel(std::string("through a foreign overlay: ") + what, Where::kEach,
                      [write = std::move(write)](Stage& stage) { return after_change(stage, write); });
    };
    through("all makers", refused_all);
    through("O_TMPFILE", [](const std::string& m) { return make_temporary_file(m, m + "/linked"); });
    through("chown", [](const std::string& m) { return code_of(::chown((m + "/foreign").c_str(), 5, 5)); });
    through("ACL", [](const std::string& m) {
        return set_acl(m + "/foreign", "system.posix_acl_access", acl_for(kUserTag, 5), 0);
    });
    through("file capability",
            [](const std::string& m) { return set_acl(m + "/foreign", "security.capability", capability(), 0); });
    through("copy-up of a transient file", [](const std::string& m) { return write_into(m + "/own"); });
    through("link of a transient file",
            [](const std::string& m) { return code_of(::link((m + "/own").c_str(), (m + "/linked").c_str())); });
    table.channel("overlay mounted by the host: all makers", Where::kEach, mounted_by_host);
    table.channel("overlay mounted by the host: chown", Where::kEach, mounted_by_host_and_chowned);
    table.control("foreign overlay: copy-up and whiteout", Where::kEach, foreign_copy_up);
}

}  // namespace nsr::channels
