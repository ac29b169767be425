// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "registry/registration.h"

namespace nsr::registry {

/// What makes two names one file.
struct FileId {
    dev_t device;
    ino_t inode;
    bool operator==(const FileId&) const = default;
};

/// The record in a regular file, not through a symbolic link; nullopt where there is no file. EBADMSG for everything
/// that is wrong with the file itself, its type and size included; any other code is a failure of the system.
Result<std::optional<Registration>> read_record(BorrowedFd dir, const std::string& file);
/// What open(2) and read(2) say of what is no regular file, or too large; everything else is a failure of the system.
bool is_fault_of_file(int code);
/// Which file a name stands for; nullopt where there is none.
Result<std::optional<FileId>> identify_file(BorrowedFd dir, const std::string& file);
/// Whether two records are about one registration: what may be added to it later is not looked at.
bool is_same_registration(const Registration& a, const Registration& b);

}  // namespace nsr::registry
