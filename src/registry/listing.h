// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "registry/file_name.h"

namespace nsr::registry {

/// What one pass over the registry directory found. `file` numbers are inode numbers of the files themselves, by which
/// hard links are told without a system call for each.
struct Listing {
    struct Entry {
        NsInode inode;
        uint64_t file;
    };
    struct NameLink {
        std::string name;
        uint64_t file;
        std::string path() const;
    };
    struct RangeLink {
        FileKind kind;  ///< kStart or kStartGid
        uint32_t start;
        uint64_t file;
        std::string path() const;
    };
    struct OwnedLink {
        Uid owner;
        uint64_t file;
        NsInode inode;
        std::string path() const;
    };

    std::vector<Entry> entries;
    std::vector<NameLink> name_links;
    std::vector<RangeLink> range_links;
    std::vector<OwnedLink> owned_links;
    std::vector<Uid> owners;
    std::vector<Uid> delegations;
    /// A few of the files that are none of ours, and how many there are.
    std::vector<std::string> unknown_examples;
    size_t unknown_count = 0;
};

Result<Listing> list_registry(BorrowedFd registry);

}  // namespace nsr::registry
