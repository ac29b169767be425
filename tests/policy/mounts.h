// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/mount.h>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace nsr::channels {

/// open_tree(2) with OPEN_TREE_CLONE: a detached copy of the mount, from there on.
UniqueFd clone_tree(const std::string& path);
/// move_mount(2) of a detached mount; 0 or an errno value.
int move_tree(const UniqueFd& tree, const std::string& to);
/// Makes the detached mount show ids as the namespace maps them: inside is what is stored, outside what is seen.
int map_ids(const UniqueFd& tree, const UniqueFd& user_namespace);

/// A file system by fsopen(2), fsconfig(2) and fsmount(2), attached at `to`; 0 or an errno value.
using Settings = std::vector<std::pair<std::string, std::string>>;
int configure(const UniqueFd& context, const Settings& settings);
int mount_by_context(const std::string& type, const Settings& settings, const std::string& to);
/// fsmount(2) and move_mount(2) of a context that has its superblock.
int attach(const UniqueFd& context, const std::string& to);

}  // namespace nsr::channels
