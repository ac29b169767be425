// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/default_name.h"

#include <algorithm>

#include "registry/names.h"

namespace nsr::ctl {

std::string default_name(std::string_view command, Uid owner, pid_t process) {
    auto slash = command.rfind('/');
    if (slash != std::string_view::npos) command.remove_prefix(slash + 1);

    const std::string suffix = fmt::format("-{}", process);
    const size_t prefix_length = owner.value == 0 ? 0 : fmt::formatted_size("{}-", owner.value);
    // 22 characters hold the longest uid, the longest process id (4194304), two hyphens, and three more.
    const size_t room = registry::kMaxNameLength - prefix_length - suffix.size();
    std::string name(command.substr(0, room));
    std::ranges::replace_if(name, [](char c) { return !registry::is_valid_name({&c, 1}); }, '_');
    return name + suffix;
}

}  // namespace nsr::ctl
