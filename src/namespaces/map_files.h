// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "namespaces/id_map.h"
#include "namespaces/user_namespace.h"

namespace nsr::namespaces {

struct Maps {
    IdMap uids, gids;
};

/// Both maps of a namespace, their outside ids as the calling process's own namespace sees them.
Result<Maps> read_maps(const UserNamespace& target);

/// The uid_map, gid_map and setgroups files of a user namespace, opened with the right to write them. They hold the
/// namespace (and so keep it alive), not a process: nobody can get between the two maps by killing something.
class MapFiles {
public:
    /// `parent` is the namespace above `target`, and `own` the caller's. The kernel takes a map only from a file that
    /// was opened in the namespace itself or the one directly above (user_namespaces(7)).
    /// deny_setgroups() needs kWillBeDenied.
    enum class Setgroups { kLeftAlone, kWillBeDenied };
    static Result<MapFiles> open(const UserNamespace& target, const UserNamespace& parent, const UserNamespace& own,
                                 Setgroups setgroups = Setgroups::kLeftAlone);

    Result<IdMap> uid_map() const;
    Result<IdMap> gid_map() const;
    /// Forbids setgroups(2) there and below for good; only before the gid map is written.
    Status deny_setgroups();
    /// At most 4096 bytes of text each, which is over 100 lines. EPERM if there is a map already, EINVAL for lines that
    /// overlap or that the namespace above does not map.
    Status write_gid_map(const IdMap& map);
    Status write_uid_map(const IdMap& map);

private:
    MapFiles(UniqueFd uid_map, UniqueFd gid_map, UniqueFd setgroups)
        : uid_map_(std::move(uid_map)), gid_map_(std::move(gid_map)), setgroups_(std::move(setgroups)) {}

    UniqueFd uid_map_, gid_map_, setgroups_;
};

}  // namespace nsr::namespaces
