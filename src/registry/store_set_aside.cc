// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel gives the inode number of a dead namespace to the next one, which may be a stranger's. What is still to be
// done for the ranges of the dead one must not be in its way.
#include <algorithm>

#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/record_file.h"
#include "registry/store.h"

namespace nsr::registry {

namespace {

/// So many dead namespaces of one inode number may wait for the end of their release.
constexpr uint64_t kMaxAside = 4096;

bool is_same_but_aside(const Registration& aside, const Registration& registration) {
    return aside.owner == registration.owner && aside.userns.id == registration.userns.id &&
           aside.range == registration.range && aside.cgroups == registration.cgroups;
}

}  // namespace

Result<Registration> Store::make_aside(const Registration& registration) const {
    Registration aside = registration;
    aside.network_interfaces.clear();  // those go by the name
    for (uint64_t number = 1; number <= kMaxAside; ++number) {
        aside.userns.inode = NsInode(registration.userns.inode.value + (number << 32));
        aside.name = fmt::format("-dead-{:x}", aside.userns.inode);
        auto found = find_by_inode(aside.userns.inode);
        // A worker may have died in the middle of this.
        if (found && *found && is_same_but_aside(**found, registration)) return aside;
        if (found && !*found && TRY(name_taken(aside.name)) == Taken::kFree) return aside;
    }
    return fail(EEXIST, "too many dead namespaces of one inode number");
}

Result<Store::Ranges> Store::ranges_of(const Registration& registration) const {
    if (registration.is_transient()) {
        auto holder = TRY(find_by_start(registration.range->start));
        return holder && holder->userns == registration.userns ? Ranges::kHeld : Ranges::kElsewhere;
    }
    if (registration.delegates.empty()) return Ranges::kHeld;
    auto delegation = TRY(find_delegation(registration.delegates.front().start));
    NsInode own = registration.userns.inode;
    bool held = delegation && (delegation->userns == own ||
                               std::ranges::find(delegation->ancestors, own) != delegation->ancestors.end());
    return held ? Ranges::kHeld : Ranges::kElsewhere;
}

// The entry first, as everywhere. A range has one record or the other at any time, so that it is never free.
Result<Registration> Store::set_aside(const Lock&, const Registration& registration) {
    Registration aside = TRY(make_aside(registration));
    if (registration.is_transient()) {
        auto holder = TRY(find_by_start(registration.range->start));
        bool own = holder && (holder->userns == registration.userns || holder->userns == aside.userns);
        if (!own) return fail(EBADMSG, "the range of {} is another registration's", registration.name);
    }
    std::vector<std::string> files{entry_file(aside.userns.inode)};
    for (const auto& file : link_files(aside)) files.push_back(file);
    TRY(make_directory(registry_dir(), owner_directory(aside.owner)));
    TRY(replace_files(format_registration(aside), files));
    TRY(hand_over_delegations(registration, aside.userns.inode));
    return aside;
}

}  // namespace nsr::registry
