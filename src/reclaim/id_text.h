// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace nsr::reclaim {

/// The words between white space.
std::vector<std::string_view> words_of(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);

/// The ids in a file of /proc: of the lines Uid, Gid and Groups of status;
std::vector<uint32_t> ids_of_status(std::string_view text);
/// of the columns uid, gid, cuid and cgid of a table of /proc/sysvipc, one list an object;
std::vector<std::vector<uint32_t>> ids_of_ipc_table(std::string_view text);
/// of /proc/key-users, of those who have keys;
std::vector<uint32_t> ids_of_key_users(std::string_view text);
/// of /proc/keys.
std::vector<uint32_t> ids_of_keys(std::string_view text);

/// The first id of each range of a pool that an id map (user_namespaces(7)) reaches. A part of a map that spans the
/// whole pool does not count: it is that of the host, or of somebody whom the host has made its equal.
std::vector<uint32_t> ids_of_map(std::string_view text);

}  // namespace nsr::reclaim
