// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <dirent.h>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::resources {

/// What is directly in a cgroup: its files, and the cgroups below it. Costs one descriptor, however much there is.
class CgroupListing {
public:
    struct Entry {
        enum class Kind { kNone, kFile, kCgroup };
        Kind kind = Kind::kNone;
        CgroupId id;  // of a kCgroup
        std::string name;
    };

    static Result<CgroupListing> open(BorrowedFd cgroup);

    /// kNone: that was all. Of a cgroup that is removed meanwhile there is nothing more.
    Result<Entry> next();

private:
    struct Close {
        void operator()(DIR* directory) const { closedir(directory); }
    };
    using Directory = std::unique_ptr<DIR, Close>;
    explicit CgroupListing(Directory directory) : directory_(std::move(directory)) {}

    Directory directory_;
};

}  // namespace nsr::resources
