// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cgroup_scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace nsr::channels {

namespace {

std::string cgroup_mount() {
    std::ifstream file("/proc/self/mountinfo");
    std::string line;
    while (std::getline(file, line)) {
        if (!line.contains(" - cgroup2 ")) continue;
        std::istringstream fields(line);
        std::string field;
        for (int i = 0; i < 5; ++i) fields >> field;
        return field;
    }
    return "";
}

void remove(const std::string& path) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored))
        if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) remove(entry.path().string());
    ::rmdir(path.c_str());
}

}  // namespace

CgroupScratch::CgroupScratch() : path_(cgroup_mount()) {
    if (path_.empty()) return;
    path_ += "/nsresource-channels." + std::to_string(::getpid());
    if (::mkdir(path_.c_str(), 0755) < 0) path_.clear();
}

CgroupScratch::~CgroupScratch() {
    if (!path_.empty()) remove(path_);
}

std::string CgroupScratch::make(const std::string& name, mode_t mode) const {
    const std::string made = path_ + "/" + name;
    ::mkdir(made.c_str(), 0755);
    ::chmod(made.c_str(), mode);
    return made;
}

Status delegate(Stage& stage, const Space& space, const std::string& path) {
    return call_as_root(stage.socket(), "AddControlGroupToUserNamespace", space, "controlGroupFileDescriptor",
                        UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
}

}  // namespace nsr::channels
