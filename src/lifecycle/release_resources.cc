// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/release_resources.h"

#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/leftovers.h"
#include "lifecycle/policy_entries.h"
#include "lifecycle/walk_file.h"
#include "resources/cgroup_tree.h"
#include "resources/core_files.h"
#include "resources/network.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;
using resources::CgroupRemoval;
using resources::CgroupTree;
using resources::CgroupWalk;
using resources::DeadIds;

/// Small trees are removed at once; tidy() does the rest.
constexpr size_t kMaxVisits = 64;
/// A user may have many core files, and others wait for the end of the turn.
constexpr uint64_t kCoreFilesUsec = 25'000;
/// Where the walk through the cgroups of a release stands, in a file for each namespace. It holds for one life of the
/// service, whose registrations it knows.
constexpr char kWalkDirectory[] = "walks";

std::string walk_file(const NsIdentity& userns) {
    return fmt::format("{}/{}.{}", kWalkDirectory, userns.inode, userns.id);
}

// All ids of the pools that the registration holds; those of a caller are not ours to recycle.
DeadIds dead_ids(const Registration& registration) {
    DeadIds ids;
    if (registration.is_transient())
        ids.add(registration.range->start, registration.range->start_gid, registration.range->size);
    for (const auto& delegate : registration.delegates) ids.add(delegate.start, delegate.start_gid, delegate.size);
    return ids;
}

bool has_cgroups(const Instance& instance, const Registration& registration) {
    return !registration.cgroups.empty() || cgroup_files(instance, registration.userns) == CgroupFiles::kOfAny;
}

Result<resources::LinkRemoval> remove_link(const Registration& registration, const std::string& name) {
    auto removal = resources::remove_link(name, registration.owner, registration.name);
    if (!removal) log::warning("Cannot remove network interface {}: {}", name, removal.error().what());
    return removal;
}

/// What release_cgroups() does.
class CgroupRelease {
public:
    CgroupRelease(Instance& instance, ReleaseTurn& turn, const CgroupTree& tree, const Registration& registration)
        : instance_(instance), turn_(turn), tree_(tree), registration_(registration), ids_(dead_ids(registration)) {}

    Released go_on();

private:
    enum class Work { kNone, kSome };
    Result<Work> remove(CgroupId id);
    Status note(const Leftover& leftover);
    Released remove_all();
    Result<CgroupWalk> begin_walk() const;
    Released take_back();
    Status save(const CgroupWalk& walk);

    Instance& instance_;
    ReleaseTurn& turn_;
    const CgroupTree& tree_;
    const Registration& registration_;
    DeadIds ids_;
};

// Noted first: a worker that dies after it has given the cgroup to root would leave nothing that tells of it.
Status CgroupRelease::note(const Leftover& leftover) {
    log::info("Cgroup {} is large or still has processes, and is removed later", leftover.id);
    TRY(note_leftover(instance_, leftover));
    if (!ids_.has(leftover.owner)) return {};
    CgroupTree::Effort topmost{.visits = 1};
    CgroupWalk walk{leftover.id};
    TRY(tree_.take_back(walk, ids_, topmost));
    return {};
}

// What was done in an earlier turn is not done again: it has another owner by now, or it is noted.
Result<CgroupRelease::Work> CgroupRelease::remove(CgroupId id) {
    // Namespaces of `type: self` of one user have the same ids, so that the owner of a cgroup does not tell whose it
    // is.
    if (!registration_.is_transient()) {
        auto other = TRY(turn_.owned_cgroups().has_another(instance_.store, registration_, id));
        if (other == registry::Taken::kTaken) return Work::kNone;
    }
    Leftover leftover{
        .id = id, .owner = registration_.range->start, .user = instance_.users.user_of(registration_.owner)};
    auto owner = TRY(tree_.owner(id));
    if (!owner || *owner != leftover.owner || is_noted(instance_, leftover)) return Work::kNone;
    CgroupWalk walk;
    CgroupTree::Effort effort{.visits = kMaxVisits, .end_usec = turn_.end_usec()};
    if (TRY(remove_own_cgroup(tree_, leftover, walk, effort)) != CgroupRemoval::kGone) TRY(note(leftover));
    return Work::kSome;
}

// The record stays until each is removed or noted: nothing else tells of them. EINVAL is said of the root of the tree,
// which will never be removed.
Released CgroupRelease::remove_all() {
    auto all = Released::kAll;
    for (CgroupId id : registration_.cgroups) {
        auto work = remove(id);
        if (!work) log::warning("Cannot remove cgroup {}: {}", id, work.error().what());
        if (!work && work.error().code() != EINVAL) all = Released::kFailed;
        if (work && *work == Work::kSome && turn_.is_over()) return Released::kInPart;
    }
    return all;
}

Status CgroupRelease::save(const CgroupWalk& walk) {
    BorrowedFd state = instance_.store.state_dir();
    TRY(sys::ensure_directory(state, kWalkDirectory, 0755));
    return write_walk(state, walk_file(registration_.userns), walk);
}

Result<CgroupWalk> CgroupRelease::begin_walk() const {
    if (cgroup_files(instance_, registration_.userns) == CgroupFiles::kOfItsOwn) return registration_.cgroups;
    return CgroupWalk{TRY(tree_.top())};
}

// Also in a cgroup that is another namespace's by now: what this one made there before has still its ids. No range is
// free before all is taken back.
Released CgroupRelease::take_back() {
    auto walk = read_walk(instance_.store.state_dir(), walk_file(registration_.userns));
    if (!walk) log::warning("The cgroups of {} are looked at anew: {}", registration_.name, walk.error().what());
    if (!walk || walk->empty()) walk = begin_walk();
    if (!walk) log::warning("Cannot take back cgroups of {}: {}", registration_.name, walk.error().what());
    if (!walk) return Released::kFailed;
    CgroupTree::Effort effort{.visits = SIZE_MAX, .end_usec = turn_.end_usec()};
    auto retaken = tree_.take_back(*walk, ids_, effort);
    if (retaken && *retaken == resources::CgroupsRetaken::kAll) return Released::kAll;
    if (!retaken) {
        log::warning("Cannot take back a cgroup of {}: {}", registration_.name, retaken.error().what());
        std::ranges::rotate(*walk, walk->end() - 1);  // the others need not wait for it
    }
    if (auto saved = save(*walk); !saved) {
        // The next turn would only come as far as this one.
        log::warning("{}", saved.error().what());
        return Released::kFailed;
    }
    return retaken ? Released::kInPart : Released::kFailed;
}

Released CgroupRelease::go_on() {
    auto removed = remove_all();
    if (removed != Released::kAll || ids_.empty()) return removed;
    return take_back();
}

}  // namespace

// The kernel may take long over one.
Released release_links(const ReleaseTurn& turn, const Registration& registration) {
    auto all = Released::kAll;
    for (const auto& name : registration.network_interfaces) {
        auto removal = remove_link(registration, name);
        if (!removal) all = Released::kFailed;
        bool was_work = removal && *removal == resources::LinkRemoval::kRemoved;
        if (was_work && turn.is_over()) return Released::kInPart;
    }
    return all;
}

Released release_cgroups(Instance& instance, ReleaseTurn& turn, const Registration& registration) {
    if (!registration.range || !has_cgroups(instance, registration)) return Released::kAll;
    auto tree = CgroupTree::open();
    if (!tree) log::warning("Cannot remove cgroups of {}: {}", registration.name, tree.error().what());
    if (!tree)
        return tree.error().code() == ENODEV && dead_ids(registration).empty() ? Released::kAll : Released::kFailed;
    return CgroupRelease(instance, turn, *tree, registration).go_on();
}

Status release_core_files(Instance& instance, const Registration& registration) {
    const DeadIds ids = dead_ids(registration);
    if (ids.empty()) return {};
    auto cleared = resources::clear_core_files(instance.core_directory, ids, kCoreFilesUsec);
    if (cleared && *cleared == resources::CoreFiles::kCleared) return {};
    log::warning("Ranges of {} are not used again before a reclaim: core files in {} may name their ids{}",
                 registration.name, instance.core_directory,
                 cleared ? "" : fmt::format(": {}", cleared.error().what()));
    return instance.used_set ? instance.used_set->mark_used(registration.starts()) : Status();
}

Status forget_release(const Instance& instance, const Registration& registration) {
    if (!has_cgroups(instance, registration)) return {};
    return remove_walk(instance.store.state_dir(), walk_file(registration.userns));
}

Status forget_all_releases(const Instance& instance) {
    auto files = sys::list_directory(instance.store.state_dir(), kWalkDirectory);
    if (!files && files.error().code() == ENOENT) return {};
    if (!files) return Failure(std::move(files).error());
    for (const auto& file : *files)
        TRY(sys::unlink_at(instance.store.state_dir(), fmt::format("{}/{}", kWalkDirectory, file)));
    return {};
}

}  // namespace nsr::lifecycle
