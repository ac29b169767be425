// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/stat.h>
#include <string>

#include "base/result.h"

namespace nsr::ranges {

/// What tells by one stat(2) whether a file or directory is still as it was when it was read. An absent one has a
/// stamp, too.
class FileStamp {
public:
    /// Equal to nothing, itself included.
    FileStamp() = default;
    /// Follows links. Errors other than of an absent file are those of stat(2).
    static Result<FileStamp> of(const std::string& path);
    explicit FileStamp(const struct stat& st);

    bool is_absent() const { return kind_ == Kind::kAbsent; }
    /// Whether both are stamps of one state. A state that was new when it was stamped is never taken for the same.
    bool is_same_state(const FileStamp& other) const;

private:
    enum class Kind { kNothing, kAbsent, kSettled, kNew } kind_ = Kind::kNothing;
    struct stat stat_{};
};

}  // namespace nsr::ranges
