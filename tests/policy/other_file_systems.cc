// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever else can be mounted on a host and has inodes that processes make.
#include <sys/mount.h>
#include <sys/stat.h>

#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

Attempt refused_on(Stage& stage, const char* type, const Body& body) {
    const std::string at = stage.path("mnt");
    if (!stage.directory("mnt", 0, 0)) return went_wrong("no directory");
    if (::mount("channels", at.c_str(), type, 0, nullptr) < 0)
        return not_here(fmt::format("no {} ({})", type, errno_name(errno)));
    ::chmod(at.c_str(), 0777);
    const int code = stage.inside(body);
    Attempt attempt = tried(code, stage.remains());
    ::umount2(at.c_str(), MNT_DETACH);
    return attempt;
}

}  // namespace

void add_other_file_systems(Table& table) {
    for (const char* type : {"ramfs", "hugetlbfs"})
        table.channel(std::string(type) + " of the host", Where::kOnce, [type](Stage& stage) {
            return refused_on(stage, type, [&] { return refused_all(stage.path("mnt")); });
        });
    table.channel("bpffs of the host", Where::kOnce, [](Stage& stage) {
        return refused_on(stage, "bpf", [&] { return make_directory(stage.path("mnt/d")); });
    });
    table.channel("mqueue of the host, as a file system", Where::kOnce, [](Stage& stage) {
        return refused_on(stage, "mqueue", [&] { return make_file(stage.path("mnt/q")); });
    });
}

}  // namespace nsr::channels
