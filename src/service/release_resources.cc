// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/release_resources.h"

#include <fcntl.h>
#include <algorithm>
#include <charconv>

#include <optional>

#include "base/log.h"
#include "base/sys.h"
#include "resources/cgroup_tree.h"
#include "resources/network.h"

namespace nsr::service {

namespace {

/// Beside the registry: a file for each cgroup that is still to be removed, named by its id and the uid that it was
/// given to: "<id>.<uid>".
constexpr char kLeftoverDirectory[] = "cgroups";
/// A release holds up others, so that it removes small trees only; tidy() does the rest.
constexpr size_t kMaxVisits = 64;

struct Leftover {
    CgroupId id;
    Uid owner;
};

Status note_leftover(const Context& context, const Leftover& leftover) {
    TRY(sys::ensure_directory(context.store.state_dir(), kLeftoverDirectory, 0755));
    std::string file = fmt::format("{}/{}.{}", kLeftoverDirectory, leftover.id, leftover.owner);
    TRY(sys::open_at(context.store.state_dir(), file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644));
    return {};
}

std::optional<Leftover> parse_leftover(std::string_view name) {
    Leftover leftover;
    const char* end = name.data() + name.size();
    auto id = std::from_chars(name.data(), end, leftover.id.value);
    if (id.ec != std::errc() || id.ptr == end || *id.ptr != '.') return std::nullopt;
    auto owner = std::from_chars(id.ptr + 1, end, leftover.owner.value);
    if (owner.ec != std::errc() || owner.ptr != end) return std::nullopt;
    return leftover;
}

// The same cgroup may have been given to another namespace since; then it is that one's, by its owner.
enum class Ids { kWillBeReused, kAreTheCallers };
Result<resources::CgroupRemoval> remove_own_cgroup(const resources::CgroupTree& tree, const Leftover& cgroup, Ids owner,
                                                   size_t max_visits) {
    auto now = TRY(tree.owner(cgroup.id));
    if (!now || *now != cgroup.owner) return resources::CgroupRemoval::kGone;
    auto back =
        owner == Ids::kWillBeReused ? resources::CgroupTree::Owner::kTakeBack : resources::CgroupTree::Owner::kLeave;
    return tree.remove(cgroup.id, back, max_visits);
}

Status release_cgroup(const Context& context, const resources::CgroupTree& tree, Leftover cgroup, Ids owner) {
    auto removal = TRY(remove_own_cgroup(tree, cgroup, owner, kMaxVisits));
    if (removal == resources::CgroupRemoval::kGone) return {};
    log::info("Cgroup {} is large or still has processes, and is removed later", cgroup.id);
    if (owner == Ids::kWillBeReused) cgroup.owner = Uid(0);
    return note_leftover(context, cgroup);
}

// Namespaces of `type: self` of one user have the same ids, so that the owner of a cgroup does not tell whose it is.
Result<registry::Taken> has_another_self(const Context& context, const registry::Registration& registration,
                                         CgroupId id) {
    for (NsInode inode : TRY(context.store.owned(registration.owner))) {
        auto other = context.store.find_by_inode(inode);
        if (!other || !*other || (*other)->userns == registration.userns) continue;
        if (std::ranges::find((*other)->cgroups, id) != (*other)->cgroups.end()) return registry::Taken::kTaken;
    }
    return registry::Taken::kFree;
}

}  // namespace

void remove_links(const registry::Registration& registration) {
    for (const auto& name : registration.network_interfaces) {
        auto removal = resources::remove_link(name, registration.owner, registration.name);
        if (!removal) log::warning("Cannot remove network interface {}: {}", name, removal.error().what());
    }
}

void release_resources(Context& context, const registry::Registration& registration) {
    remove_links(registration);
    if (registration.cgroups.empty() || !registration.range) return;
    auto tree = resources::CgroupTree::open();
    if (!tree) return log::warning("Cannot remove cgroups of {}: {}", registration.name, tree.error().what());
    auto owner = registration.is_transient() ? Ids::kWillBeReused : Ids::kAreTheCallers;
    for (CgroupId id : registration.cgroups) {
        if (owner == Ids::kAreTheCallers) {
            auto other = has_another_self(context, registration, id);
            if (!other || *other == registry::Taken::kTaken) continue;
        }
        if (auto released = release_cgroup(context, *tree, {id, registration.range->start}, owner); !released)
            log::warning("Cannot remove cgroup {}: {}", id, released.error().what());
    }
}

Result<Leftovers> tidy(Context& context) {
    BorrowedFd state = context.store.state_dir();
    auto names = sys::list_directory(state, kLeftoverDirectory);
    if (!names && names.error().code() == ENOENT) return Leftovers::kNone;
    if (!names) return Failure(std::move(names).error());
    if (names->empty()) return Leftovers::kNone;
    auto tree = TRY(resources::CgroupTree::open());
    auto leftovers = Leftovers::kNone;
    for (const auto& name : *names) {
        auto leftover = parse_leftover(name);
        if (!leftover) continue;
        auto removal = remove_own_cgroup(tree, *leftover, Ids::kAreTheCallers, resources::CgroupTree::kMaxVisits);
        if (removal && *removal == resources::CgroupRemoval::kBusy) {
            leftovers = Leftovers::kSome;
            continue;
        }
        if (!removal) log::warning("Cannot remove cgroup {}: {}", name, removal.error().what());
        TRY(sys::unlink_at(state, fmt::format("{}/{}", kLeftoverDirectory, name)));
    }
    return leftovers;
}

}  // namespace nsr::service
