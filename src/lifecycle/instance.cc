// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/instance.h"

#include <fcntl.h>
#include <unistd.h>
#include <filesystem>

#include "base/sys.h"
#include "ranges/user_copy.h"

namespace nsr::lifecycle {

namespace {

// Beside the directory of the service's own state: both belong to what outlives a boot on one host.
std::string core_directory_beside(const std::string& state_dir) {
    return (std::filesystem::path(state_dir + "/").parent_path().parent_path() / "systemd/coredump").string();
}

bool is_broken(int code) {
    return code == ENOENT || code == EBADMSG || code == ELOOP || code == ENXIO || code == EISDIR;
}

// A table that is broken is made anew: the registry says what each user has.
Result<ranges::UserTable> open_users(const registry::Store& store, const std::string& state_dir) {
    auto users = ranges::UserTable::open(store.state_dir());
    // What cannot be opened for want of something, such as room for the holes of a whole one, is not broken.
    if (users || !is_broken(users.error().code())) return users;
    // Another process may just be making it.
    auto lock = TRY(store.lock());
    if (auto again = ranges::UserTable::open(store.state_dir())) return again;
    UniqueFd state = TRY(sys::open_at(sys::kCwd, state_dir, O_RDONLY | O_DIRECTORY));
    return ranges::UserTable::make(store.state_dir(), TRY(ranges::load_users(state.borrow())));
}

// At the level `refuse` of a service that has handed out ranges in this boot: they are still to be released.
bool keeps_record(policy::Level level, BorrowedFd runtime) {
    if (level == policy::Level::kRefuse) return faccessat(runtime.get(), "nsresource/fresh", F_OK, 0) == 0;
    return level == policy::Level::kEnforce || level == policy::Level::kQuarantine;
}

}  // namespace

Result<Instance> Instance::open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                                policy::Entries entries, Part part) {
    UniqueFd runtime = TRY(sys::open_at(sys::kCwd, runtime_dir, O_RDONLY | O_DIRECTORY));
    auto store = TRY(registry::Store::open(runtime.borrow()));
    auto journal = TRY(Journal::open(store.state_dir()));
    if (part == Part::kWorker) store.expect(journal.home());
    auto taken = TRY(ranges::TakenMap::open(store.state_dir()));
    auto users = TRY(open_users(store, state_dir));
    UniqueFd state;
    std::optional<ranges::UsedSet> used_set;
    if (keeps_record(level, runtime.borrow())) {
        state = TRY(sys::open_at(sys::kCwd, state_dir, O_RDONLY | O_DIRECTORY));
        used_set = TRY(ranges::UsedSet::open(state.borrow(), runtime.borrow()));
    }
    return Instance{.store = std::move(store),
                    .journal = std::move(journal),
                    .prober = TRY(namespaces::Prober::create()),
                    .own = TRY(namespaces::UserNamespace::own()),
                    .level = level,
                    .entries = std::move(entries),
                    .missed_calls = {},
                    .taken = std::move(taken),
                    .users = std::move(users),
                    .state_dir = std::move(state),
                    .used_set = std::move(used_set),
                    .core_directory = core_directory_beside(state_dir),
                    .announce = [](const NsIdentity&, Uid) { return Status(); }};
}

}  // namespace nsr::lifecycle
