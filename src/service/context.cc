// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/context.h"

namespace nsr::service {

namespace {

// Where a service with this runtime directory looks for other users of ids: the host's files and user databases, and
// those announced beside its own socket.
hostdb::HostIds::Config host_ids_config(const std::string& runtime_dir) {
    hostdb::HostIds::Config config;
    config.own_socket = runtime_dir + "/io.systemd.NamespaceResource";
    std::string beside = runtime_dir + "/userdb";
    if (beside != config.userdb_directories.front()) config.userdb_directories.push_back(beside);
    return config;
}

}  // namespace

Result<Context> Context::open(const std::string& runtime_dir, const std::string& state_dir, policy::Level level,
                              policy::Entries entries) {
    return Context{TRY(Instance::open(runtime_dir, state_dir, level, std::move(entries), Part::kWorker)),
                   hostdb::HostIds(host_ids_config(runtime_dir)),
                   {},
                   false,
                   [](const NsIdentity&, UniqueFd) { return Status(); }};
}

}  // namespace nsr::service
