// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ranges/candidates.h"
#include "ranges/watched_file.h"

namespace nsr::ranges {

/// What a file of the host says about ids.
class IdTable {
public:
    enum class Format {
        kUsers,         ///< passwd(5): name:password:uid:gid:…
        kGroups,        ///< group(5): name:password:gid:…
        kSubordinates,  ///< subuid(5), subgid(5): owner:first:count
    };

    IdTable() = default;
    /// Lines that make no sense are passed over, as libc does. A count that is too large ends at the last id.
    static IdTable parse(std::string_view text, Format format);

    bool overlaps(IdInterval ids) const;
    /// Whether an account has this name; only names that begin with "ns-" are kept.
    bool has_account(std::string_view name) const;

private:
    void add_line(std::string_view line, Format format);
    void add_ids(uint64_t first, uint64_t count);
    void tidy();

    std::vector<IdInterval> ids_;  // sorted, apart from each other
    std::vector<std::string> names_;
};

/// Such a file, parsed again only when it has changed.
class IdFile {
public:
    /// Larger files are an error: what cannot be looked at must not count as empty.
    static constexpr size_t kMaxSize = size_t{16} * 1024 * 1024;

    IdFile(std::string path, IdTable::Format format) : file_(std::move(path), kMaxSize), format_(format) {}

    /// The table as of now; valid until the next call. No file: an empty table. Errors: EFBIG, EACCES, EBADF (no
    /// regular file), …
    Result<const IdTable*> current();

private:
    WatchedFile file_;
    IdTable::Format format_;
    IdTable table_;
};

}  // namespace nsr::ranges
