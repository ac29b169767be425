// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cgroup_forest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/sys.h"

namespace nsr::bench {

namespace {

// proc_pid_mountinfo(5): the fifth field is the place, the one behind a lonely "-" the type.
Result<std::string> find_cgroup2() {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        if (line.find(" - cgroup2 ") == std::string::npos) continue;
        std::istringstream fields(line);
        std::string place;
        for (int i = 0; i < 5; ++i) fields >> place;
        return place;
    }
    return fail(ENOENT, "no cgroup2 file system is mounted");
}

Status make(const std::string& path, Uid owner) {
    if (mkdir(path.c_str(), 0755) < 0) return fail_errno(errno, path);
    if (chown(path.c_str(), owner.value, owner.value) < 0) return fail_errno(errno, path);
    return {};
}

// std::filesystem::remove_all() would try to unlink the files, which the kernel refuses.
void remove_tree(const std::filesystem::path& top) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(top, ignored))
        if (entry.is_directory(ignored)) remove_tree(entry.path());
    rmdir(top.c_str());
}

}  // namespace

Result<CgroupForest> CgroupForest::create(Uid owner) {
    static unsigned number = 0;
    std::string path = fmt::format("{}/nsresource-bench-{}-{}", TRY(find_cgroup2()), getpid(), number++);
    TRY(make(path, owner));
    return CgroupForest(path);
}

CgroupForest::~CgroupForest() {
    if (!path_.empty()) remove_tree(path_);
}

Result<UniqueFd> CgroupForest::open() const { return sys::open_at(sys::kCwd, path_, O_RDONLY | O_DIRECTORY); }

Result<UniqueFd> CgroupForest::add(Uid owner, size_t number) const {
    std::string path = fmt::format("{}/{}", path_, number);
    TRY(make(path, owner));
    return sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
}

}  // namespace nsr::bench
