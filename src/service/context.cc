// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/context.h"

#include <fcntl.h>
#include <unistd.h>
#include <filesystem>

#include "base/sys.h"
#include "ranges/user_copy.h"

namespace nsr::service {

namespace {

// Where a service with this runtime directory looks for other users of ids: the host's files and user databases, and
// those announced beside its own socket.
ranges::HostIds::Config host_ids_config(const std::string& runtime_dir) {
    ranges::HostIds::Config config;
    config.own_socket = runtime_dir + "/io.systemd.NamespaceResource";
    std::string beside = runtime_dir + "/userdb";
    if (beside != config.userdb_directories.front()) config.userdb_directories.push_back(beside);
    return config;
}

// Beside the directory of the service's own state: both belong to what outlives a boot on one host.
std::string core_directory_beside(const std::string& state_dir) {
    return (std::filesystem::path(state_dir + "/").parent_path().parent_path() / "systemd/coredump").string();
}

// A table that is broken is made anew: the registry says what each user has.
Result<ranges::UserTable> open_users(const registry::Store& store, const std::string& state_dir) {
    auto users = ranges::UserTable::open(store.state_dir());
    if (users) return users;
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

Result<Context> Context::open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                              policy::Entries entries) {
    UniqueFd runtime = TRY(sys::open_at(sys::kCwd, runtime_dir, O_RDONLY | O_DIRECTORY));
    auto store = TRY(registry::Store::open(runtime.borrow()));
    auto taken = TRY(ranges::TakenMap::open(store.state_dir()));
    auto users = TRY(open_users(store, state_dir));
    UniqueFd state;
    std::optional<ranges::UsedSet> used_set;
    if (keeps_record(level, runtime.borrow())) {
        state = TRY(sys::open_at(sys::kCwd, state_dir, O_RDONLY | O_DIRECTORY));
        used_set = TRY(ranges::UsedSet::open(state.borrow(), runtime.borrow()));
    }
    return Context{.store = std::move(store),
                   .prober = TRY(namespaces::Prober::create()),
                   .own = TRY(namespaces::UserNamespace::own()),
                   .host_ids = ranges::HostIds(host_ids_config(runtime_dir)),
                   .authority = {},
                   .level = level,
                   .entries = std::move(entries),
                   .missed_calls = {},
                   .taken = std::move(taken),
                   .users = std::move(users),
                   .state_dir = std::move(state),
                   .used_set = std::move(used_set),
                   .core_directory = core_directory_beside(state_dir),
                   .writer = getpid(),
                   .took_fresh_range = false,
                   .announce = [](const NsIdentity&, Uid) {},
                   .keep_mount = [](const NsIdentity&, UniqueFd) { return Status(); }};
}

}  // namespace nsr::service
