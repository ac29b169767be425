// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/release_resources.h"

#include <fcntl.h>
#include <charconv>

#include "base/log.h"
#include "base/sys.h"
#include "resources/cgroup_tree.h"
#include "resources/network.h"

namespace nsr::service {

namespace {

/// Beside the registry: an empty file for each cgroup that is still to be removed, named by its id.
constexpr char kLeftoverDirectory[] = "cgroups";

Status note_leftover(const Context& context, CgroupId id) {
    TRY(sys::ensure_directory(context.store.state_dir(), kLeftoverDirectory, 0755));
    std::string file = fmt::format("{}/{}", kLeftoverDirectory, id);
    TRY(sys::open_at(context.store.state_dir(), file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644));
    return {};
}

// The same cgroup may have been given to another namespace since; then it is that one's, by its owner.
Result<resources::CgroupRemoval> remove_own_cgroup(const resources::CgroupTree& tree, CgroupId id, Uid owner) {
    auto now = TRY(tree.owner(id));
    if (!now || *now != owner) return resources::CgroupRemoval::kGone;
    return tree.remove(id);
}

Status release_cgroup(const Context& context, const resources::CgroupTree& tree, CgroupId id, Uid owner) {
    auto removal = TRY(remove_own_cgroup(tree, id, owner));
    if (removal == resources::CgroupRemoval::kGone) return {};
    log::info("Cgroup {} still has processes, and is removed later", id);
    return note_leftover(context, id);
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
    for (CgroupId id : registration.cgroups)
        if (auto released = release_cgroup(context, *tree, id, registration.range->start); !released)
            log::warning("Cannot remove cgroup {}: {}", id, released.error().what());
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
        uint64_t id = 0;
        auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), id);
        if (code != std::errc() || end != name.data() + name.size()) continue;
        auto removal = tree.remove(CgroupId(id));
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
