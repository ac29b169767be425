// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "reclaim/census.h"
#include "reclaim/change_watch.h"
#include "reclaim/tree_walk.h"

namespace nsr::reclaim {

namespace {

/// Somebody who moves directories all the time can make us begin again so often.
constexpr int kMaxRounds = 20;

enum class Seen { kFiles, kDirectories };

// What got a new name is looked at under whatever name it has by now; of a directory, all that is in it.
Result<Seen> look_at_changes(BorrowedFd root, BorrowedFd proc_fds, ChangeWatch& watch, TreeWalk& walk) {
    Seen seen = Seen::kFiles;
    for (const auto& handle : TRY(watch.take())) {
        auto object = open_handle(root, handle, O_PATH | O_NOFOLLOW);
        if (!object && object.error().code() == ESTALE) continue;
        if (!object) return Failure(std::move(object).error());
        struct stat st = TRY(sys::stat_fd(object->borrow()));
        constexpr char kLabel[] = "(something that was moved or made meanwhile)";
        if (S_ISDIR(st.st_mode)) {
            seen = Seen::kDirectories;
            UniqueFd directory = TRY(open_handle(root, handle, O_RDONLY | O_DIRECTORY));
            walk.walk(directory.borrow(), kLabel);
        } else {
            walk.look(object->borrow(), proc_fds, kLabel);
        }
    }
    return seen;
}

Status look_at_all_changes(BorrowedFd root, BorrowedFd proc, ChangeWatch& watch, TreeWalk& walk) {
    UniqueFd proc_fds = TRY(sys::open_at(proc, "self/fd", O_RDONLY | O_DIRECTORY));
    for (int round = 0; round < kMaxRounds; round++)
        if (TRY(look_at_changes(root, proc_fds.borrow(), watch, walk)) == Seen::kFiles) return {};
    return fail(EBUSY, "directories are being moved all the time");
}

}  // namespace

void look_at_tree(BorrowedFd root, BorrowedFd proc, const std::string& label, Findings& findings,
                  const std::function<void()>& tick) {
    auto watch = ChangeWatch::open(root);
    TreeWalk walk(findings, tick);
    walk.walk(root, label);
    if (!watch) {
        Findings again;
        TreeWalk(again, tick).walk(root, label);
        findings.add_missing(again);
    }
    // While the watch still goes on: what is unlinked here and linked there is always either seen here or heard of.
    look_at_descriptors(proc, findings, {}, tick);
    if (!watch) return;
    if (auto looked = look_at_all_changes(root, proc, *watch, walk); !looked)
        findings.add_problem(fmt::format("{}: {}", label, looked.error().what()));
}

void look_at_whole(const FileSystemLook& look, Findings& findings, const std::function<void()>& tick) {
    if (auto entered = enter_private_mounts(look.mount_namespace); !entered)
        return findings.add_problem(fmt::format("{}: {}", look.label, entered.error().what()));
    auto root = reach_root(look.proc, look.device, look.devices);
    if (!root) return findings.add_problem(fmt::format("{}: {}", look.label, root.error().what()));
    look_at_tree(root->borrow(), look.proc, look.label, findings, tick);
}

}  // namespace nsr::reclaim
