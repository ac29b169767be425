// SPDX-License-Identifier: LGPL-2.1-or-later
// overlayfs, mounted inside: it makes directories and files on its upper layer with the mounter's ids.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "makers.h"
#include "mounts.h"
#include "overlay.h"
#include "table.h"

namespace nsr::channels {

Layers make_layers(const std::string& base) {
    Layers layers{base + "/lower", base + "/upper", base + "/work", base + "/merged"};
    for (const auto& path : {layers.lower, layers.upper, layers.work, layers.merged}) {
        ::mkdir(path.c_str(), 0777);
        ::chmod(path.c_str(), 0777);
    }
    return layers;
}

Layers host_layers(Stage& stage, uint32_t owner) {
    Layers layers = make_layers(stage.dir());
    for (const auto& path : {layers.lower, layers.upper, layers.work, layers.merged})
        if (::chown(path.c_str(), owner, owner) < 0) return {};
    stage.note_prepared();
    return layers;
}

int mount_overlay(const Layers& layers, const std::string& options, unsigned long flags) {
    return code_of(::mount("overlay", layers.merged.c_str(), "overlay", flags, options.c_str()));
}

namespace {

constexpr As kInside{.mounts = true};

/// An overlay that lasts only as long as the child: what it left on the upper layer is what counts.
Attempt mounted(Stage& stage, const std::string& extra, unsigned long flags, bool of_the_range) {
    const Layers layers = host_layers(stage, of_the_range ? stage.start() : 0);
    return tried(stage.inside(kInside, [&] {
        const int code = mount_overlay(layers, layers.options() + extra, flags);
        if (code != 0) return code;
        make_file(layers.merged + "/made");
        make_directory(layers.merged + "/made-too");
        return 0;
    }));
}

Attempt by_context(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    return tried(stage.inside(kInside, [&] {
        return mount_by_context("overlay",
                                {{"lowerdir", layers.lower}, {"upperdir", layers.upper}, {"workdir", layers.work}},
                                layers.merged);
    }));
}

Attempt without_work(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    return tried(stage.inside(kInside, [&] {
        return mount_overlay(layers, "lowerdir=" + layers.lower + ",upperdir=" + layers.upper, MS_RDONLY);
    }));
}

Attempt in_nested(Stage& stage) {
    const Map map{{0, 0, kRangeSize}};
    auto space = unmanaged(map, map, &stage.managed());
    if (!space) return went_wrong(space.error().what());
    const Layers layers = host_layers(stage, 0);
    return tried(inside(*space, kInside, [&] { return mount_overlay(layers, layers.options()); }));
}

/// By a bind mount of the upper layer in a tmpfs of its own.
Attempt upper_bound(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    return tried(stage.inside(kInside, [&] {
        const UniqueFd tree = clone_tree(stage.dir());
        if (::mount("t", layers.merged.c_str(), "tmpfs", 0, nullptr) < 0) return lacking(errno);
        const std::string bound = layers.merged + "/bound", merged = layers.merged + "/merged";
        ::mkdir(bound.c_str(), 0777);
        ::mkdir(merged.c_str(), 0777);
        if (move_tree(tree, bound) != 0) return lacking(errno);
        return mount_overlay({bound + "/lower", bound + "/upper", bound + "/work", merged},
                             "lowerdir=" + bound + "/lower,upperdir=" + bound + "/upper,workdir=" + bound + "/work");
    }));
}

Attempt lower_only(Stage& stage) {
    const Layers layers = host_layers(stage, 0);
    ::mkdir((stage.path("lower2")).c_str(), 0755);
    return tried(stage.inside(
        kInside, [&] { return mount_overlay(layers, "lowerdir=" + layers.lower + ":" + stage.path("lower2")); }));
}

Attempt own_upper(Stage& stage) {
    const Layers host = host_layers(stage, 0);
    if (!stage.file("lower/f", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside(kInside, [&] {
        if (::mount("t", host.merged.c_str(), "tmpfs", 0, nullptr) < 0) return lacking(errno);
        Layers own = make_layers(host.merged);
        own.lower = host.lower;
        if (const int code = mount_overlay(own, own.options() + ",userxattr"); code != 0) return code;
        if (const int code = allowed_all(own.merged, Whiteouts::kNone); code != 0) return code;
        // Copied up to the layer of its own, and given to somebody there.
        if (::chown((own.merged + "/f").c_str(), 5, 5) < 0) return errno;
        if (::mkdir((own.merged + "/d").c_str(), 0755) < 0 || ::rmdir((own.merged + "/d").c_str()) < 0) return errno;
        return code_of(::unlink((own.merged + "/f").c_str()));
    }));
}

Attempt foreign_upper(Stage& stage) {
    const Layers layers = host_layers(stage, kForeign);
    return tried(stage.inside({.uid = kForeign, .gid = kForeign, .mounts = true, .capable = true}, [&] {
        if (const int code = mount_overlay(layers, layers.options() + ",userxattr"); code != 0) return code;
        return allowed_all(layers.merged, Whiteouts::kNone);
    }));
}

}  // namespace

void add_overlay_mounts(Table& table) {
    table.channel("overlay, upper layer on the host", Where::kEach, [](Stage& s) { return mounted(s, "", 0, false); });
    table.channel("overlay, upper layer of the range's", Where::kEach,
                  [](Stage& s) { return mounted(s, "", 0, true); });
    table.channel("overlay, read-only", Where::kEach, [](Stage& s) { return mounted(s, "", MS_RDONLY, false); });
    table.channel("overlay, userxattr", Where::kEach, [](Stage& s) { return mounted(s, ",userxattr", 0, false); });
    table.channel("overlay, volatile", Where::kEach, [](Stage& s) { return mounted(s, ",volatile", 0, false); });
    table.channel("overlay, index=on", Where::kEach, [](Stage& s) { return mounted(s, ",index=on", 0, false); });
    table.channel("overlay, by fsopen", Where::kEach, by_context);
    table.channel("overlay, no work directory", Where::kEach, without_work)
        .accept(EINVAL, "the kernel wants a work directory")
        .anyway("the kernel wants a work directory");
    table.channel("overlay, nested namespace", Where::kEach, in_nested);
    table.channel("overlay, upper layer by a bind mount", Where::kEach, upper_bound);
    table.control("overlay, lower layers alone", Where::kEach, lower_only);
    table.control("overlay, own upper layer over the host's", Where::kEach, own_upper);
    table.control("overlay, foreign ids and upper layer", Where::kEach, foreign_upper);
}

}  // namespace nsr::channels
