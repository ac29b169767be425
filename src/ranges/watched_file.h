// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/result.h"
#include "ranges/file_stamp.h"

namespace nsr::ranges {

/// A file of the administrator that is read again only when it has changed, by one stat(2).
class WatchedFile {
public:
    /// More than `limit` bytes are an error.
    WatchedFile(std::string path, size_t limit) : path_(std::move(path)), limit_(limit) {}

    /// The content, where it may have changed since the last call that succeeded; nothing where it has not. An absent
    /// file is an empty one. EFBIG, EBADF (no regular file), EACCES, …
    Result<std::optional<std::string>> content_if_changed();

private:
    Result<std::string> read();

    std::string path_;
    size_t limit_;
    FileStamp seen_;
};

}  // namespace nsr::ranges
