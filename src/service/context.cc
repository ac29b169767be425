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

}  // namespace nsr::service
