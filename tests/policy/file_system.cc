// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_system.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <optional>

#include "base/sys.h"

namespace nsr::channels {

namespace {

/// xfs takes no less than 300 MiB.
constexpr off_t kImageSize = off_t{320} << 20;

int run(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = -1;
    const int code = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (code != 0 || ::waitpid(pid, &status, 0) < 0) return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/// Why it could not be done, if so.
std::string mount_image(const std::string& image, const std::string& type, const std::string& options,
                        const std::string& mount_point) {
    UniqueFd file(::open(image.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (!file || ::ftruncate(file.get(), kImageSize) < 0) return fmt::format("no image: {}", errno_name(errno));
    const std::string maker = "mkfs." + type;
    std::vector<std::string> command{maker, "-q"};
    if (type == "ext4") command.insert(command.end(), {"-F", "-O", "^has_journal"});
    command.push_back(image);
    if (const int status = run(command); status != 0) return fmt::format("{} fails ({})", maker, status);
    const int status = run({"mount", "-t", type, "-o", "loop" + options, image, mount_point});
    return status == 0 ? "" : fmt::format("mount of {} fails ({})", type, status);
}

std::string mount_it(FileSystem::Kind kind, const std::string& image, const std::string& mount_point) {
    switch (kind) {
        case FileSystem::Kind::kExt4:
            return mount_image(image, "ext4", ",acl", mount_point);
        case FileSystem::Kind::kGrpid:
            return mount_image(image, "ext4", ",acl,grpid", mount_point);
        case FileSystem::Kind::kBtrfs:
            return mount_image(image, "btrfs", "", mount_point);
        case FileSystem::Kind::kXfs:
            return mount_image(image, "xfs", "", mount_point);
        case FileSystem::Kind::kF2fs:
            return mount_image(image, "f2fs", "", mount_point);
        case FileSystem::Kind::kTmpfs:
            if (::mount("channels", mount_point.c_str(), "tmpfs", 0, "mode=0755") == 0) return "";
            return errno_name(errno);
    }
    return "unknown";
}

}  // namespace

std::vector<FileSystem> make_file_systems(const std::string& scratch, FileSystems which) {
    using enum FileSystem::Kind;
    // mount(8) looks for a loop device before anything would load the module; no module is no error, it may be built
    // in.
    for (const char* module : {"loop", "overlay", "fuse", "tun"}) run({"modprobe", "-q", module});
    std::vector<FileSystem> all{
        {kExt4, "ext4", "", ""}, {kTmpfs, "tmpfs", "", ""}, {kBtrfs, "btrfs", "", ""}, {kGrpid, "grpid", "", ""}};
    if (which == FileSystems::kMore) all.insert(all.end(), {{kXfs, "xfs", "", ""}, {kF2fs, "f2fs", "", ""}});
    for (auto& one : all) {
        one.mount_point = scratch + "/" + one.name;
        ::mkdir(one.mount_point.c_str(), 0755);
        one.missing = mount_it(one.kind, one.mount_point + ".image", one.mount_point);
        ::chmod(one.mount_point.c_str(), 0755);
    }
    return all;
}

}  // namespace nsr::channels
