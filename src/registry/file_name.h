// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "registry/registration.h"

/// The names of files in the registry directory (interface.md section 4).
namespace nsr::registry {

enum class FileKind {
    kEntry,        ///< i<inode>.userns
    kName,         ///< n<name>.userns
    kStart,        ///< u<start>.userns
    kStartGid,     ///< g<start>.userns
    kDelegate,     ///< u<start>.delegate
    kDelegateGid,  ///< g<start>.delegate
    kOwner,        ///< o<uid>.owns, a directory
    kLock,
    kUnknown,
};

/// What a file name says. `number` is the inode, the start or the owner; `name` points into what was parsed.
struct FileName {
    FileKind kind = FileKind::kUnknown;
    uint64_t number = 0;
    std::string_view name;
};

/// kUnknown for whatever this program would not have written, such as numbers with leading zeros.
FileName parse_file_name(std::string_view file);

std::string entry_file(NsInode inode);
std::string name_file(std::string_view name);
std::string start_file(Uid start);
std::string start_gid_file(Gid start);
std::string delegate_file(Uid start);
std::string delegate_gid_file(Gid start);
std::string owner_directory(Uid owner);
std::string owned_file(Uid owner, NsInode inode);
/// The names that are hard links to the entry of a registration, the entry's own not among them; the owner's is the
/// last.
std::vector<std::string> link_files(const Registration& registration);

/// Two files beside the registry that exist for a moment: a new record where the file system can have no file without a
/// name, and one more link to it while a record is written anew.
std::string new_content_file(pid_t writer);
std::string new_link_file(pid_t writer);
/// The writer of either.
std::optional<pid_t> parse_new_file(std::string_view file);

}  // namespace nsr::registry
