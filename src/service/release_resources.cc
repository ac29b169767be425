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
/// No range is free before all is taken back, so this is no bound on the whole: it lets others in now and then, and
/// what was given to root is only looked at the next time. A tree of more cgroups than that holds its range until
/// tidy() has removed enough of it, or the processes in it have ended.
constexpr resources::CgroupTree::Effort kMaxEffort{.visits = 65536, .changes = 2048};

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
Result<resources::CgroupRemoval> remove_own_cgroup(const resources::CgroupTree& tree, const Leftover& cgroup,
                                                   size_t max_visits) {
    auto now = TRY(tree.owner(cgroup.id));
    if (!now || *now != cgroup.owner) return resources::CgroupRemoval::kGone;
    return tree.remove(cgroup.id, max_visits);
}

Status remove_or_note(const Context& context, const resources::CgroupTree& tree, Leftover cgroup,
                      const resources::DeadIds& ids) {
    auto removal = TRY(remove_own_cgroup(tree, cgroup, kMaxVisits));
    if (removal == resources::CgroupRemoval::kGone) return {};
    log::info("Cgroup {} is large or still has processes, and is removed later", cgroup.id);
    if (ids.has(cgroup.owner)) {
        // The topmost first: it is noted by the owner that it has from now on. Had it another, tidy() would forget it.
        resources::CgroupTree::Effort topmost{.visits = 1, .changes = 1};
        TRY(tree.take_back(cgroup.id, ids, topmost));
        cgroup.owner = Uid(0);
    }
    return note_leftover(context, cgroup);
}

// All ids of the pools that the registration holds; those of a caller are not ours to recycle.
resources::DeadIds dead_ids(const registry::Registration& registration) {
    resources::DeadIds ids;
    if (registration.is_transient())
        ids.add(registration.range->start, registration.range->start_gid, registration.range->size);
    for (const auto& delegate : registration.delegates) ids.add(delegate.start, delegate.start_gid, delegate.size);
    return ids;
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

namespace {

void remove_cgroup(const Context& context, const resources::CgroupTree& tree,
                   const registry::Registration& registration, CgroupId id, const resources::DeadIds& ids) {
    if (!registration.is_transient()) {
        auto other = has_another_self(context, registration, id);
        if (!other || *other == registry::Taken::kTaken) return;
    }
    auto removed = remove_or_note(context, tree, {id, registration.range->start}, ids);
    if (!removed) log::warning("Cannot remove cgroup {}: {}", id, removed.error().what());
}

// Also in a cgroup that is another namespace's by now: what this one made there before has still its ids.
Released take_back(const resources::CgroupTree& tree, const registry::Registration& registration,
                   const resources::DeadIds& ids) {
    auto effort = kMaxEffort;
    auto released = Released::kAll;
    for (CgroupId id : registration.cgroups) {
        auto retaken = tree.take_back(id, ids, effort);
        if (retaken && *retaken == resources::CgroupsRetaken::kAll) continue;
        released = Released::kInPart;
        if (!retaken) log::warning("Cannot take back cgroup {}: {}", id, retaken.error().what());
    }
    return released;
}

}  // namespace

Released release_resources(Context& context, const registry::Registration& registration) {
    remove_links(registration);
    if (registration.cgroups.empty() || !registration.range) return Released::kAll;
    auto ids = dead_ids(registration);
    auto tree = resources::CgroupTree::open();
    if (!tree) {
        log::warning("Cannot remove cgroups of {}: {}", registration.name, tree.error().what());
        return ids.empty() ? Released::kAll : Released::kInPart;
    }
    for (CgroupId id : registration.cgroups) remove_cgroup(context, *tree, registration, id, ids);
    return ids.empty() ? Released::kAll : take_back(*tree, registration, ids);
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
        auto removal = remove_own_cgroup(tree, *leftover, resources::CgroupTree::kMaxVisits);
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
