// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/context.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/sys.h"

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

}  // namespace

Result<Context> Context::open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                              policy::Entries entries) {
    UniqueFd runtime = TRY(sys::open_at(sys::kCwd, runtime_dir, O_RDONLY | O_DIRECTORY));
    auto store = TRY(registry::Store::open(runtime.borrow()));
    auto taken = TRY(ranges::TakenMap::open(store.state_dir()));
    std::optional<ranges::UsedSet> used_set;
    if (level == policy::Level::kEnforce || level == policy::Level::kQuarantine) {
        UniqueFd state = TRY(sys::open_at(sys::kCwd, state_dir, O_RDONLY | O_DIRECTORY));
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
                   .used_set = std::move(used_set),
                   .writer = getpid(),
                   .took_fresh_range = false,
                   .announce = [](const NsIdentity&) {},
                   .keep_mount = [](const NsIdentity&, UniqueFd) { return Status(); }};
}

void note_taken(Context& context, const registry::Registration& registration) {
    for (Uid start : registration.starts()) context.taken.set(start);
}

// A delegated range may have gone to another holder, and one in use may lie in a delegated one.
void note_removed(Context& context, const registry::Registration& registration) {
    for (Uid start : registration.starts()) {
        auto state = context.store.range_taken(start);
        if (state && *state == registry::Taken::kFree) context.taken.clear(start);
    }
}

}  // namespace nsr::service
