// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/ipc.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/sys.h"
#include "reclaim/id_text.h"
#include "reclaim/tree_walk.h"

namespace nsr::reclaim {

namespace {

constexpr size_t kMaxText = 64 * 1024 * 1024;

// Queues are there whether or not their file system is mounted.
Status look_at_queues(Findings& findings, const std::function<void()>& tick) {
    UniqueFd context(::fsopen("mqueue", FSOPEN_CLOEXEC));
    if (!context && errno == ENODEV) return {};  // the kernel has no such queues
    if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
        return fail_errno(errno, "message queues");
    UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    if (!mount) return fail_errno(errno, "message queues");
    UniqueFd root = TRY(sys::open_at(mount.borrow(), ".", O_RDONLY | O_DIRECTORY));
    TreeWalk(findings, tick).walk(root.borrow(), "message queue ");
    return {};
}

}  // namespace

void look_at_ipc(BorrowedFd proc, BorrowedFd namespace_fd, Findings& findings, const std::function<void()>& tick) {
    if (::setns(namespace_fd.get(), CLONE_NEWIPC) < 0)
        return findings.add_problem(fail_errno(errno, "an IPC namespace").error().what());
    for (const char* table : {"shm", "sem", "msg"}) {
        auto text = sys::read_file_at(proc, fmt::format("sysvipc/{}", table), kMaxText);
        if (!text && text.error().code() == ENOENT) continue;
        if (!text) return findings.add_problem(text.error().what());
        for (const auto& ids : ids_of_ipc_table(*text))
            findings.add(ids, [&] { return fmt::format("System V IPC object ({})", table); });
    }
    if (auto looked = look_at_queues(findings, tick); !looked) findings.add_problem(looked.error().what());
}

void look_at_keys(BorrowedFd proc, Findings& findings) {
    for (const char* file : {"key-users", "keys"}) {
        auto text = sys::read_file_at(proc, file, kMaxText);
        if (!text && text.error().code() == ENOENT) continue;
        if (!text) return findings.add_problem(text.error().what());
        auto ids = std::string_view(file) == "keys" ? ids_of_keys(*text) : ids_of_key_users(*text);
        for (uint32_t id : ids) findings.add({&id, 1}, [&] { return fmt::format("keys (/proc/{})", file); });
    }
}

}  // namespace nsr::reclaim
