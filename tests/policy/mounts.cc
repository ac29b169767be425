// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include "attempt.h"

namespace nsr::channels {

UniqueFd clone_tree(const std::string& path) {
    return UniqueFd(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

int move_tree(const UniqueFd& tree, const std::string& to) {
    return code_of(::move_mount(tree.get(), "", AT_FDCWD, to.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
}

int map_ids(const UniqueFd& tree, const UniqueFd& user_namespace) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<decltype(attributes.userns_fd)>(user_namespace.get());
    return code_of(::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes));
}

int configure(const UniqueFd& context, const Settings& settings) {
    for (const auto& [key, value] : settings) {
        const long result = value.empty()
                                ? ::fsconfig(context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                                : ::fsconfig(context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
        if (result < 0) return errno;
    }
    return 0;
}

int attach(const UniqueFd& context, const std::string& to) {
    const UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    return mount ? move_tree(mount, to) : errno;
}

int mount_by_context(const std::string& type, const Settings& settings, const std::string& to) {
    const UniqueFd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
    if (!context) return errno;
    if (const int code = configure(context, settings); code != 0) return code;
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return errno;
    return attach(context, to);
}

}  // namespace nsr::channels
