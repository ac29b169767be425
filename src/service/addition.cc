// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/addition.h"

#include <algorithm>
#include <vector>

#include "base/log.h"
#include "resources/cgroup_tree.h"

namespace nsr::service {

namespace {

using registry::Registration;

Result<std::optional<Registration>> find_same(const Context& context, const Registration& registration) {
    auto found = TRY(context.store.find_by_inode(registration.userns.inode));
    bool same = found && found->userns == registration.userns && found->name == registration.name;
    if (!same) return std::optional<Registration>();
    return found;
}

Status forget(Context& context, const Registration& added) {
    auto lock = TRY(context.store.lock());
    for (CgroupId id : added.cgroups) TRY(context.entries.remove_cgroup(id, added.userns.inode));
    auto current = TRY(find_same(context, added));
    if (!current) return {};
    for (CgroupId id : added.cgroups) std::erase(current->cgroups, id);
    for (const auto& name : added.network_interfaces) std::erase(current->network_interfaces, name);
    return context.store.update(lock, *current);
}

template <class Item>
void append_new(std::vector<Item>& list, const std::vector<Item>& items) {
    for (const auto& item : items)
        if (std::ranges::find(list, item) == list.end()) list.push_back(item);
}

enum class Handover { kNotBegun, kDone };

Result<Handover> finish_handover(const resources::CgroupTree& tree, CgroupId id,
                                 const registry::TransientRange& range) {
    auto cgroup = TRY(tree.find(id));
    if (!cgroup || TRY(cgroup->owner()) != range.start) return Handover::kNotBegun;
    TRY(cgroup->delegate(range.start, range.start_gid));
    return Handover::kDone;
}

}  // namespace

Registration without_resources(Registration registration) {
    registration.cgroups.clear();
    registration.network_interfaces.clear();
    return registration;
}

OrFault<Addition> Addition::record(Context& context, Registration added, const Judge& judge) {
    auto lock = TRY_SYSTEM(context.store.lock());
    auto current = TRY_SYSTEM(find_same(context, added));
    // A call that is not finished may still fail, and would not take back what was added to it.
    bool is_there = current && TRY_SYSTEM(context.store.progress(*current)) == registry::Progress::kCommitted;
    if (!is_there) return refuse("UserNamespaceNotRegistered");
    TRY(judge(*current));
    append_new(current->cgroups, added.cgroups);
    append_new(current->network_interfaces, added.network_interfaces);
    TRY_SYSTEM(context.store.begin_addition(lock, added, context.writer));
    auto updated = context.store.update(lock, *current);
    // Part of it may be written: that is for the manager to settle.
    if (!updated) end_worker(updated.error());
    return Addition(context, std::move(added));
}

OrFault<void> Addition::done() {
    TRY_SYSTEM(context_.store.end_addition(context_.writer));
    return {};
}

void Addition::undo() {
    auto undone = forget(context_, added_);
    if (undone) undone = context_.store.end_addition(context_.writer);
    if (!undone) end_worker(undone.error());
}

Status settle(Context& context, Registration added) {
    auto current = TRY(find_same(context, added));
    // Of a cgroup that is given to the ids that it has already nobody can tell how far that came.
    if (current && current->is_transient() && !added.cgroups.empty()) {
        auto tree = TRY(resources::CgroupTree::open());
        for (CgroupId id : std::vector(added.cgroups)) {
            // Nothing is begun before it is recorded.
            if (std::ranges::find(current->cgroups, id) == current->cgroups.end()) continue;
            auto handover = finish_handover(tree, id, *current->range);
            if (!handover) log::warning("Cannot finish the delegation of cgroup {}: {}", id, handover.error().what());
            // One that was handed over in part stays recorded, so that it is removed with its namespace.
            if (!handover || *handover == Handover::kDone) std::erase(added.cgroups, id);
        }
    }
    return forget(context, added);
}

}  // namespace nsr::service
