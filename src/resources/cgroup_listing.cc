// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_listing.h"

#include <fcntl.h>
#include <string_view>
#include <utility>

#include "resources/cgroup_file.h"

namespace nsr::resources {

Result<CgroupListing> CgroupListing::open(BorrowedFd cgroup) {
    UniqueFd fd = TRY(open_within_mount(cgroup, ".", O_RDONLY | O_DIRECTORY));
    Directory directory(fdopendir(fd.get()));
    int code = errno;
    if (!directory) return fail_errno(code, "read cgroup");
    (void)fd.release();
    return CgroupListing(std::move(directory));
}

Result<CgroupListing::Entry> CgroupListing::next() {
    for (;;) {
        errno = 0;
        const struct dirent* entry = readdir(directory_.get());
        int code = errno;
        if (!entry && code != 0 && code != ENOENT) return fail_errno(code, "read cgroup");
        if (!entry) return Entry();
        std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        auto kind = entry->d_type == DT_DIR ? Entry::Kind::kCgroup : Entry::Kind::kFile;
        return Entry{kind, CgroupId(entry->d_ino), std::string(name)};
    }
}

}  // namespace nsr::resources
