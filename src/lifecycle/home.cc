// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/home.h"

#include <fcntl.h>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::lifecycle {

namespace {

// At every level that has a used set, they are not handed out before a reclaim, either.
Status hold_taken_ranges(Instance& instance) {
    auto starts = instance.taken.starts();
    if (starts.empty()) return {};
    if (instance.used_set) TRY(instance.used_set->mark_used(starts));
    instance.taken.hold();
    log::error(
        "The registry was emptied, moved or replaced by another process while {} ranges were in use: they are not "
        "handed out again before the next boot, and their namespaces are not registered any more",
        starts.size());
    return {};
}

// A journal that knows of no registry is new, as the registry is.
Status take_home(Instance& instance, const registry::Home& home) {
    auto known = instance.journal.home();
    if (known != registry::Home() && known != home) TRY(hold_taken_ranges(instance));
    instance.journal.set_home(home);
    return {};
}

}  // namespace

Status check_home(Instance& instance) { return take_home(instance, instance.store.home()); }

Status verify_home(const Instance& instance) {
    auto current = instance.store.current_home();
    if (!current && current.error().code() != ENOENT && current.error().code() != ENOTDIR) return {};
    if (current && *current == instance.store.home()) return {};
    return fail(ESTALE, "the registry was emptied, moved or replaced");
}

// The journal and the tables lie beside the registry: where these are gone, too, only a new instance can go on.
Status replace_home(Instance& instance, const std::string& runtime_dir) {
    UniqueFd runtime = TRY(sys::open_at(sys::kCwd, runtime_dir, O_RDONLY | O_DIRECTORY));
    auto now = TRY(sys::stat_at(runtime.borrow(), "nsresource"));
    auto before = TRY(sys::stat_fd(instance.store.state_dir()));
    if (now.st_dev != before.st_dev || now.st_ino != before.st_ino)
        return fail(ESTALE, "the directory of the registry and of the journal was replaced");
    auto store = TRY(registry::Store::open(runtime.borrow()));
    TRY(take_home(instance, store.home()));
    instance.store = std::move(store);
    return instance.users.rebuild_counts({});
}

}  // namespace nsr::lifecycle
