// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>
#include <string>
#include <vector>

namespace nsr::channels {

/// What has a transient id among its owner, group, ACL entries and file capability, one line each.
using Remains = std::set<std::string>;

/// The directory and all below it.
Remains transient_files(const std::string& directory);
/// What this IPC namespace has of System V objects, and of POSIX queues below this mount of mqueue.
Remains transient_ipc(const std::string& mqueue);
/// Removes all of them, whoever owns them.
void remove_ipc(const std::string& mqueue);
std::vector<std::string> added(const Remains& before, const Remains& after);
/// Removes what is in the directory.
void empty_directory(const std::string& directory);

}  // namespace nsr::channels
