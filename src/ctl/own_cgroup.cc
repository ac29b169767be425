// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/own_cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cstring>

#include "base/sys.h"
#include "resources/cgroup_mount.h"

namespace nsr::ctl {

namespace {

constexpr size_t kMaxProcText = 64 * 1024;
constexpr const char* kLeaf = "command";

std::string_view hint(int code) {
    switch (code) {
        case EACCES:
        case EPERM:
            return "; both it and the one you are in must be your own: start from a cgroup that was delegated to you, "
                   "for example by \"systemd-run --user --scope -p Delegate=yes\"";
        case EEXIST:
            return "; a namespace of that name has it, or left it behind with processes";
        case EROFS:
            return "; the cgroup file system is mounted read-only here";
        case EBUSY:
            return "; it has controllers switched on for the cgroups below it, and can have no processes";
        default:
            return "";
    }
}

Failure explain_failure(const Error& error, std::string_view what) {
    return fail(error.code(), "cannot {}: {}{}", what, strerror(error.code()), hint(error.code()));
}

/// Moves this process, all of its threads, into a cgroup.
Status move_into(BorrowedFd directory) {
    UniqueFd processes = TRY(sys::open_at(directory, "cgroup.procs", O_WRONLY));
    return sys::write_all(processes.borrow(), "0");
}

Result<UniqueFd> open_home() {
    const std::string text = TRY(sys::read_file_at(sys::kCwd, "/proc/self/cgroup", kMaxProcText));
    auto path = cgroup2_path(text);
    if (!path) return fail(ENODEV, "this process is in no cgroup2 that can be seen from here");
    UniqueFd mount = TRY(resources::open_cgroup_mount());
    return sys::open_at(mount.borrow(), "." + *path, O_RDONLY | O_DIRECTORY);
}

Result<UniqueFd> open_wanted(const std::string& path) {
    auto directory = sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
    if (!directory) return explain_failure(directory.error(), "open the cgroup " + path);
    struct statfs fs{};
    if (::fstatfs(directory->get(), &fs) < 0) return fail_errno(errno, path);
    if (fs.f_type != CGROUP2_SUPER_MAGIC) return fail(EINVAL, "{} is no cgroup of version 2", path);
    return directory;
}

}  // namespace

std::optional<std::string> cgroup2_path(std::string_view proc_text) {
    while (!proc_text.empty()) {
        std::string_view line = proc_text.substr(0, proc_text.find('\n'));
        proc_text.remove_prefix(std::min(line.size() + 1, proc_text.size()));
        if (!line.starts_with("0::/")) continue;
        line.remove_prefix(3);
        if (line.starts_with("/..")) return std::nullopt;
        return std::string(line);
    }
    return std::nullopt;
}

Result<OwnCgroup> OwnCgroup::enter(const ControlGroup& wanted, const std::string& name) {
    UniqueFd home = TRY_WITHIN("cannot find the own cgroup", open_home());
    OwnCgroup cgroup(std::move(home));
    if (wanted.path) {
        cgroup.directory_ = TRY(open_wanted(*wanted.path));
    } else {
        auto keeper = CgroupKeeper::start(cgroup.home_.borrow(), name);
        if (!keeper) return explain_failure(keeper.error(), fmt::format("make the cgroup {} below the own one", name));
        cgroup.keeper_.emplace(*std::move(keeper));
        cgroup.directory_ = TRY(sys::open_at(cgroup.home_.borrow(), name, O_RDONLY | O_DIRECTORY));
    }
    if (Status moved = move_into(cgroup.directory_.borrow()); !moved)
        return explain_failure(moved.error(), "move into the cgroup");
    return cgroup;
}

OwnCgroup::~OwnCgroup() {
    // Where this fails the process never left, or the keeper will say that it cannot remove the cgroup.
    if (keeper_) (void)move_into(home_.borrow());
}

void OwnCgroup::keep() {
    if (keeper_) keeper_->dismiss();
    keeper_.reset();
}

Result<UniqueFd> OwnCgroup::open_again() const {
    return sys::open_at(directory_.borrow(), ".", O_RDONLY | O_DIRECTORY);
}

Status OwnCgroup::enter_leaf() const {
    TRY_WITHIN("cannot make a cgroup for the command", sys::ensure_directory(directory_.borrow(), kLeaf, 0755));
    UniqueFd leaf = TRY(sys::open_at(directory_.borrow(), kLeaf, O_RDONLY | O_DIRECTORY));
    TRY_WITHIN("cannot move into the cgroup of the command", move_into(leaf.borrow()));
    return {};
}

}  // namespace nsr::ctl
