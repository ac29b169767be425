// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::bench {

/// A cgroup of a user's, directly below the root of the cgroup2 tree; removed with all below it when this goes.
class CgroupForest {
public:
    /// ENOENT where no cgroup2 file system is mounted.
    static Result<CgroupForest> create(Uid owner);

    CgroupForest(CgroupForest&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    CgroupForest& operator=(CgroupForest&&) = delete;
    ~CgroupForest();

    const std::string& path() const { return path_; }
    Result<UniqueFd> open() const;
    /// A cgroup below it that the user owns, too.
    Result<UniqueFd> add(Uid owner, size_t number) const;

private:
    explicit CgroupForest(std::string path) : path_(std::move(path)) {}

    std::string path_;
};

}  // namespace nsr::bench
