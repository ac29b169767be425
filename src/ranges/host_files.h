// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/types.h"
#include "ranges/host_answer.h"
#include "ranges/id_file.h"

namespace nsr::ranges {

/// The files of this host that say who uses an id: passwd(5), group(5), subuid(5) and subgid(5). Keeps them parsed; not
/// to be shared by threads. Never waits for another process.
class HostFiles {
public:
    struct Paths {
        std::string passwd = "/etc/passwd";
        std::string group = "/etc/group";
        std::string subuid = "/etc/subuid";
        std::string subgid = "/etc/subgid";
    };

    HostFiles() : HostFiles(Paths{}) {}
    explicit HostFiles(Paths paths);

    /// Whether any of the `size` ids from `start` (0: none) is in the files, and whether they know the account (empty:
    /// not looked for). An error is a file that cannot be read or is too large: the range must not be handed out then.
    Result<HostAnswer> look(Uid start, uint32_t size, const std::string& account);

private:
    IdFile passwd_, group_, subuid_, subgid_;
};

}  // namespace nsr::ranges
