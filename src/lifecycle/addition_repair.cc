// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/addition_repair.h"

#include "base/log.h"
#include "lifecycle/transaction.h"
#include "resources/cgroup_tree.h"
#include "resources/network.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;

// If it was recorded, the other names of the record may still stand for the old one.
Status complete_record(Instance& instance, const Registration& added) {
    auto lock = TRY(instance.store.lock());
    return record_addition(instance, lock, added);
}

enum class Handover { kNotBegun, kDone };

Result<Handover> finish_handover(const resources::CgroupTree& tree, CgroupId id,
                                 const registry::TransientRange& range) {
    auto cgroup = TRY(tree.find(id));
    if (!cgroup || TRY(cgroup->owner()) != range.start) return Handover::kNotBegun;
    auto handover = TRY(cgroup->prepare_handover());
    TRY(handover.give(range.start, range.start_gid));
    return Handover::kDone;
}

}  // namespace

Status repair_delegation(Instance& instance, const Registration& added) {
    auto current = TRY(find_same(instance, added));
    if (!current || !current->range || added.cgroups.size() != 1) return {};
    CgroupId id = added.cgroups.front();
    auto tree = TRY(resources::CgroupTree::open());
    auto handover = TRY(finish_handover(tree, id, *current->range));
    if (handover == Handover::kDone || lists(*current, added)) {
        log::notice("Completed the half-done delegation of cgroup {} to {}", id, added.name);
        return complete_record(instance, added);
    }
    return instance.entries.remove_cgroup(id, added.userns.inode);
}

Status repair_link(Instance& instance, const Registration& added) {
    auto current = TRY(find_same(instance, added));
    if (!current || added.network_interfaces.size() != 1) return {};
    if (lists(*current, added)) return complete_record(instance, added);
    const std::string& name = added.network_interfaces.front();
    auto removal = TRY(resources::remove_link(name, added.owner, added.name));
    if (removal == resources::LinkRemoval::kRemoved)
        log::notice("Removed the half-done network interface {} of {}", name, added.name);
    return {};
}

}  // namespace nsr::lifecycle
