// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "hostdb/nss_lookup.h"
#include "hostdb/userdb_services.h"
#include "ranges/host_answer.h"
#include "ranges/host_files.h"

namespace nsr::hostdb {

/// Who else on this host uses a range or a name: /etc/passwd, /etc/group, /etc/subuid, /etc/subgid, the userdb services
/// of https://systemd.io/USER_GROUP_API, and the modules of nsswitch.conf(5) that neither of these covers. Keeps the
/// parsed files; not to be shared by threads. Waits for other processes: never call it with the registry lock held.
class HostIds {
public:
    struct Config {
        ranges::HostFiles::Paths files;
        std::string nsswitch = "/etc/nsswitch.conf";
        /// Directories with the sockets of userdb services; ones that do not exist are fine.
        std::vector<std::string> userdb_directories = {"/run/systemd/userdb"};
        /// The service's own socket, which is never asked, under whatever name it is found.
        std::string own_socket = "/run/systemd/io.systemd.NamespaceResource";
    };
    enum class Use {
        kFree,
        kTaken,     ///< an id of the range belongs to somebody
        kNameKnown  ///< there is a user or group ns-<name>-0 (NameExists); said whether or not the range is free
    };

    explicit HostIds(Config config);

    /// Asks everybody, in parallel, about the range of `size` ids from `start` (0: none), and the name (empty: none).
    /// Files count with every id of the range, services and NSS with its first one. Returns by `deadline_usec` on
    /// sys::now_usec()'s clock. Who does not answer by then, or with garbage, knows nothing; that is logged once for
    /// each. An Error is a file of the host that cannot be read or is too large: the range must not be handed out then.
    Result<Use> check(Uid start, uint32_t size, std::string_view name, uint64_t deadline_usec);

    ranges::HostFiles& files() { return files_; }

private:
    ranges::HostFiles files_;
    NssLookup nss_;
    UserdbServices services_;
};

}  // namespace nsr::hostdb
