// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::registry {

/// The file of a record before it has its names: without any (O_TMPFILE, open(2)) where the file system can do that, so
/// that no reader sees a part of it and nothing is left of a process that is killed; else with one beside the registry.
class NewRecord {
public:
    /// An empty one (mode 0644). `dir` must outlive it.
    static Result<NewRecord> make(BorrowedFd dir);

    NewRecord(NewRecord&& other) noexcept
        : dir_(other.dir_), fd_(std::move(other.fd_)), name_(std::exchange(other.name_, {})) {}
    NewRecord& operator=(NewRecord&& other) noexcept {
        std::swap(dir_, other.dir_);
        std::swap(fd_, other.fd_);
        std::swap(name_, other.name_);
        return *this;
    }
    ~NewRecord();

    Status write(std::string_view text) const;
    /// EEXIST: the name is taken.
    Status link_to(BorrowedFd dir, const std::string& path) const;

private:
    NewRecord(BorrowedFd dir, UniqueFd fd, std::string name) : dir_(dir), fd_(std::move(fd)), name_(std::move(name)) {}

    BorrowedFd dir_;
    UniqueFd fd_;
    std::string name_;
};

}  // namespace nsr::registry
