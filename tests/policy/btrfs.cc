// SPDX-License-Identifier: LGPL-2.1-or-later
// Subvolumes, which are made by ioctl(2) and pass none of the checks of mkdir(2).
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>

#include "compat.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr As kForeigner{.uid = kForeign, .gid = kForeign, .capable = true};

UniqueFd open_directory(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int create(const std::string& directory) {
    btrfs_ioctl_vol_args arguments{};
    std::strcpy(arguments.name, "sub");
    return code_of(::ioctl(open_directory(directory).get(), BTRFS_IOC_SUBVOL_CREATE, &arguments));
}

int create_v2(const std::string& directory) {
    btrfs_ioctl_vol_args_v2 arguments{};
    std::strcpy(arguments.name, "sub");
    return code_of(::ioctl(open_directory(directory).get(), BTRFS_IOC_SUBVOL_CREATE_V2, &arguments));
}

int snapshot(const std::string& directory) {
    const UniqueFd source = open_directory(directory + "/source");
    btrfs_ioctl_vol_args arguments{};
    arguments.fd = source.get();
    std::strcpy(arguments.name, "sub");
    return code_of(::ioctl(open_directory(directory).get(), BTRFS_IOC_SNAP_CREATE, &arguments));
}

int snapshot_v2(const std::string& directory) {
    const UniqueFd source = open_directory(directory + "/source");
    btrfs_ioctl_vol_args_v2 arguments{};
    arguments.fd = source.get();
    std::strcpy(arguments.name, "sub");
    return code_of(::ioctl(open_directory(directory).get(), BTRFS_IOC_SNAP_CREATE_V2, &arguments));
}

int create_compat(const std::string& directory) {
    const LowMemory memory(sizeof(btrfs_ioctl_vol_args));
    auto* arguments = static_cast<btrfs_ioctl_vol_args*>(memory.data());
    if (arguments == nullptr) return lacking(ENOMEM);
    std::strcpy(arguments->name, "sub");
    constexpr long kIoctl = 54;
    const UniqueFd dir = open_directory(directory);
    const long result = compat_call(kIoctl, dir.get(), static_cast<long>(BTRFS_IOC_SUBVOL_CREATE), memory.address());
    if (result == -ENOSYS) return lacking(ENOSYS);
    return result < 0 ? static_cast<int>(-result) : 0;
}

/// A subvolume "source" that was there before, with a file in it.
bool prepare_source(Stage& stage, uint32_t owner, uint32_t file_owner) {
    btrfs_ioctl_vol_args arguments{};
    std::strcpy(arguments.name, "source");
    return ::ioctl(open_directory(stage.dir()).get(), BTRFS_IOC_SUBVOL_CREATE, &arguments) == 0 &&
           ::chown(stage.path("source").c_str(), owner, owner) == 0 && stage.file("source/f", file_owner, file_owner);
}

Attempt with_source(Stage& stage, uint32_t owner, uint32_t file_owner, const As& as, int (*make)(const std::string&)) {
    if (!prepare_source(stage, owner, file_owner)) return went_wrong("no subvolume");
    return tried(stage.inside(as, [&] { return make(stage.dir()); }));
}

Attempt making(Stage& stage, const As& as, int (*make)(const std::string&)) {
    return tried(stage.inside(as, [&] { return make(stage.dir()); }));
}

/// A new subvolume does not take the group of such a directory, unlike everything else that is made in it.
Attempt in_set_group_id(Stage& stage, uint32_t group, const As& as) {
    if (!stage.directory("d", 0, group, 02777)) return went_wrong("no directory");
    return tried(stage.inside(as, [&] { return create(stage.path("d")); }));
}

Attempt foreign(Stage& stage) {
    const int code = stage.inside(kForeigner, [&] { return create(stage.dir()); });
    if (code != 0) return tried(code);
    struct stat status{};
    ::stat(stage.path("sub").c_str(), &status);
    return tried(status.st_uid == kForeign ? 0 : EBADMSG);
}

}  // namespace

void add_btrfs(Table& table) {
    table.channel("btrfs subvolume", Where::kBtrfs, [](Stage& s) { return making(s, {}, create); });
    table.channel("btrfs subvolume, second version", Where::kBtrfs, [](Stage& s) { return making(s, {}, create_v2); });
    table.channel("btrfs subvolume, 32-bit ioctl", Where::kBtrfs,
                  [](Stage& s) { return making(s, {}, create_compat); });
    table.channel("btrfs subvolume, group alone", Where::kBtrfs,
                  [](Stage& s) { return making(s, {.uid = kForeign, .gid = 5, .capable = true}, create); });
    table.channel("btrfs subvolume, set-group-ID directory, group alone", Where::kBtrfs,
                  [](Stage& s) { return in_set_group_id(s, 0, {.uid = kForeign, .gid = 5, .capable = true}); });
    table.channel("btrfs snapshot", Where::kBtrfs,
                  [](Stage& s) { return with_source(s, s.start(), s.start(), {}, snapshot); });
    table.channel("btrfs snapshot, second version", Where::kBtrfs,
                  [](Stage& s) { return with_source(s, s.start(), s.start(), {}, snapshot_v2); });
    table.report("btrfs snapshot of a transient subvolume, foreign ids", Where::kBtrfs,
                 "the host put the subvolume there itself; the kernel asks nobody about what a snapshot has in it",
                 [](Stage& s) { return with_source(s, s.start(), s.start(), kForeigner, snapshot); });
    table.report("btrfs snapshot of a foreign subvolume with transient files", Where::kBtrfs,
                 "the host put the files there itself; the snapshot has them once more",
                 [](Stage& s) { return with_source(s, kForeign, s.start(), kForeigner, snapshot); });
    table.control("btrfs subvolume, foreign ids", Where::kBtrfs, foreign);
    table.control("btrfs snapshot, foreign ids", Where::kBtrfs,
                  [](Stage& s) { return with_source(s, kForeign, kForeign, kForeigner, snapshot_v2); });
}

}  // namespace nsr::channels
