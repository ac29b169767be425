// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "stage.h"

namespace nsr::channels {

/// A cgroup for one case, removed with all below it.
class CgroupScratch {
public:
    CgroupScratch();
    ~CgroupScratch();
    CgroupScratch(const CgroupScratch&) = delete;
    CgroupScratch& operator=(const CgroupScratch&) = delete;

    /// Empty: there is no cgroup2 here.
    const std::string& path() const { return path_; }
    /// A cgroup in it, by its path.
    std::string make(const std::string& name, mode_t mode) const;

private:
    std::string path_;
};

/// Gives a cgroup to the namespace, by the service.
Status delegate(Stage& stage, const Space& space, const std::string& path);

}  // namespace nsr::channels
