// SPDX-License-Identifier: LGPL-2.1-or-later
// Delegated ranges: who holds one, and where it goes when the holder is gone. Each step can be done twice, so that what
// was cut short is simply done again.
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "registry/file_name.h"
#include "registry/record_file.h"
#include "registry/store.h"

namespace nsr::registry {

namespace {

// Whether a namespace has a registration that says that the range was handed to it. The inode number alone is not
// enough: it may belong to another namespace by now.
Result<Taken> holds(const Store& store, NsInode userns, Uid start) {
    auto registration = store.find_by_inode(userns);
    // A record that cannot be read may well hold it.
    if (!registration && registration.error().code() == EBADMSG) return Taken::kTaken;
    if (!registration) return std::unexpected(std::move(registration).error());
    // An entry that could not be read was set aside: its namespace may live, and map the range.
    auto broken = sys::stat_at(store.state_dir(), "broken/" + entry_file(userns));
    if (!*registration) return broken ? Taken::kTaken : Taken::kFree;
    bool listed = std::ranges::any_of((*registration)->delegates,
                                      [&](const Delegate& delegate) { return delegate.start == start; });
    return listed ? Taken::kTaken : Taken::kFree;
}

}  // namespace

Result<std::optional<Delegation>> Store::find_delegation(Uid start) const {
    std::string file = delegate_file(start);
    auto text = sys::read_file_at(registry_dir(), file, kMaxFileSize);
    if (!text && text.error().code() == ENOENT) return std::nullopt;
    if (!text && is_fault_of_file(text.error().code())) return fail(EBADMSG, "{}: {}", file, text.error().what());
    if (!text) return Failure(std::move(text).error());
    Delegation delegation = TRY_WITHIN(file, parse_delegation(*text));
    if (delegation.start != start) return fail(EBADMSG, "{}: the record does not agree with its name", file);
    return delegation;
}

Status Store::write_delegation(const Delegation& delegation) {
    const std::string files[] = {delegate_file(delegation.start), delegate_gid_file(delegation.start_gid)};
    return replace_files(format_delegation(delegation), files);
}

Status Store::remove_delegation(Uid start) {
    for (const auto& file : {delegate_gid_file(Gid(start.value)), delegate_file(start)}) {
        Status removed = sys::unlink_at(registry_dir(), file);
        if (!removed && removed.error().code() != ENOENT) return removed;
    }
    return {};
}

Status Store::take_delegations(const Registration& registration) {
    for (const auto& delegate : registration.delegates) {
        Delegation next{registration.userns.inode, delegate.start, delegate.start_gid, delegate.size, {}};
        auto before = TRY(find_delegation(delegate.start));
        if (before && before->userns == next.userns) continue;
        if (before) {
            next.ancestors = std::move(before->ancestors);
            next.ancestors.push_back(before->userns);
        }
        TRY(write_delegation(next));
    }
    return {};
}

Status Store::give_back_delegations(const Registration& registration) {
    for (const auto& delegate : registration.delegates) {
        auto found = find_delegation(delegate.start);
        // What could be read another time must not be lost.
        if (!found && found.error().code() != EBADMSG) return Failure(std::move(found).error());
        if (!found) {
            // It stays taken; the rest must not wait for it.
            log::warning("registry: {}", found.error().what());
            continue;
        }
        if (!*found) continue;
        Delegation delegation = std::move(**found);
        bool is_ancestor = std::erase(delegation.ancestors, registration.userns.inode) > 0;
        if (delegation.userns == registration.userns.inode) {
            if (delegation.ancestors.empty()) {
                TRY(remove_delegation(delegate.start));
                continue;
            }
            delegation.userns = delegation.ancestors.back();
            delegation.ancestors.pop_back();
        } else if (!is_ancestor) {
            continue;
        }
        TRY(write_delegation(delegation));
    }
    return {};
}

Status Store::hand_over_delegations(const Registration& from, NsInode to) {
    for (const auto& delegate : from.delegates) {
        auto found = find_delegation(delegate.start);
        if (!found && found.error().code() != EBADMSG) return Failure(std::move(found).error());
        if (!found) log::warning("registry: {}", found.error().what());  // it stays taken
        if (!found || !*found) continue;
        Delegation delegation = **found;
        std::ranges::replace(delegation.ancestors, from.userns.inode, to);
        if (delegation.userns == from.userns.inode) delegation.userns = to;
        if (delegation != **found) TRY(write_delegation(delegation));
    }
    return {};
}

Status Store::settle_delegation(const Lock&, Uid start) {
    auto found = TRY(find_delegation(start));
    if (!found) return remove_delegation(start);  // half removed
    Delegation delegation = *found;
    while (TRY(holds(*this, delegation.userns, start)) == Taken::kFree) {
        if (delegation.ancestors.empty()) return remove_delegation(start);
        delegation.userns = delegation.ancestors.back();
        delegation.ancestors.pop_back();
    }
    auto uid_link = TRY(sys::stat_at(registry_dir(), delegate_file(start)));
    auto gid_link = sys::stat_at(registry_dir(), delegate_gid_file(Gid(start.value)));
    bool linked = gid_link && gid_link->st_ino == uid_link.st_ino;
    if (linked && delegation == *found) return {};
    return write_delegation(delegation);
}

}  // namespace nsr::registry
