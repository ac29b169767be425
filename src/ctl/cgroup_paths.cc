// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/cgroup_paths.h"

#include <algorithm>
#include <filesystem>

#include "base/sys.h"
#include "resources/cgroup_mount.h"

namespace nsr::ctl {

namespace {

constexpr size_t kMaxDirectories = 65536;

}  // namespace

// Handles made from the ids would be quicker, but only root may open those (open_by_handle_at(2)).
std::map<CgroupId, std::string> find_cgroup_paths(std::span<const CgroupId> ids) {
    namespace fs = std::filesystem;
    std::map<CgroupId, std::string> paths;
    auto mount = resources::open_cgroup_mount();
    if (ids.empty() || !mount) return paths;
    const std::string root = fmt::format("/proc/self/fd/{}/", mount->get());
    std::error_code ended;
    fs::recursive_directory_iterator place(root, fs::directory_options::skip_permission_denied, ended);
    size_t seen = 0;
    while (!ended && place != fs::end(place) && seen < kMaxDirectories && paths.size() < ids.size()) {
        std::error_code code;
        if (place->is_directory(code)) {
            ++seen;
            const std::string path = place->path().string();
            auto st = sys::stat_at(sys::kCwd, path);
            const CgroupId id(st ? st->st_ino : 0);
            if (std::ranges::find(ids, id) != ids.end()) paths.emplace(id, path.substr(root.size() - 1));
        }
        place.increment(ended);
    }
    return paths;
}

}  // namespace nsr::ctl
