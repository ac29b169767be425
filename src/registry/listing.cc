// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/listing.h"

#include "base/log.h"
#include "registry/directory.h"

namespace nsr::registry {

namespace {

constexpr size_t kMaxExamples = 5;

void note_unknown(Listing& listing, std::string file) {
    if (++listing.unknown_count <= kMaxExamples) listing.unknown_examples.push_back(std::move(file));
}

void sort_in(Listing& listing, std::string_view file, uint64_t file_inode) {
    FileName name = parse_file_name(file);
    switch (name.kind) {
        case FileKind::kEntry:
            listing.entries.push_back({NsInode(name.number), file_inode});
            break;
        case FileKind::kName:
            listing.name_links.push_back({std::string(name.name), file_inode});
            break;
        case FileKind::kStart:
        case FileKind::kStartGid:
            listing.range_links.push_back({name.kind, static_cast<uint32_t>(name.number), file_inode});
            break;
        case FileKind::kDelegate:
            listing.delegations.emplace_back(static_cast<uint32_t>(name.number));
            break;
        case FileKind::kOwner:
            listing.owners.emplace_back(static_cast<uint32_t>(name.number));
            break;
        case FileKind::kDelegateGid:
        case FileKind::kLock:
            break;
        case FileKind::kUnknown:
            note_unknown(listing, std::string(file));
            break;
    }
}

}  // namespace

std::string Listing::NameLink::path() const { return name_file(name); }

std::string Listing::RangeLink::path() const {
    return kind == FileKind::kStart ? start_file(Uid(start)) : start_gid_file(Gid(start));
}

std::string Listing::OwnedLink::path() const { return owned_file(owner, inode); }

Result<Listing> list_registry(BorrowedFd registry) {
    Listing listing;
    TRY(visit_directory(registry, ".", [&](std::string_view file, uint64_t inode) { sort_in(listing, file, inode); }));
    for (Uid owner : listing.owners) {
        std::string directory = owner_directory(owner);
        Status visited = visit_directory(registry, directory, [&](std::string_view file, uint64_t inode) {
            FileName name = parse_file_name(file);
            if (name.kind == FileKind::kEntry)
                listing.owned_links.push_back({owner, inode, NsInode(name.number)});
            else
                note_unknown(listing, fmt::format("{}/{}", directory, file));
        });
        // A file or symbolic link of such a name stands for nobody's registrations.
        if (!visited) log::warning("registry: {}", visited.error().what());
    }
    return listing;
}

}  // namespace nsr::registry
