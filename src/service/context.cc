// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/context.h"

namespace nsr::service {

ranges::HostIds::Config host_ids_config(const std::string& runtime_dir) {
    ranges::HostIds::Config config;
    config.own_socket = runtime_dir + "/io.systemd.NamespaceResource";
    std::string beside = runtime_dir + "/userdb";
    if (beside != config.userdb_directories.front()) config.userdb_directories.push_back(beside);
    return config;
}

namespace {

std::vector<Uid> starts_of(const registry::Registration& registration) {
    std::vector<Uid> starts;
    if (registration.is_transient()) starts.push_back(registration.range->start);
    for (const auto& delegate : registration.delegates) starts.push_back(delegate.start);
    return starts;
}

}  // namespace

void note_taken(Context& context, const registry::Registration& registration) {
    for (Uid start : starts_of(registration)) context.taken.set(start);
}

// A delegated range may have gone to another holder, and one in use may lie in a delegated one.
void note_removed(Context& context, const registry::Registration& registration) {
    for (Uid start : starts_of(registration)) {
        auto state = context.store.range_taken(start);
        if (state && *state == registry::Taken::kFree) context.taken.clear(start);
    }
}

}  // namespace nsr::service
