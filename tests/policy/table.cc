// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table.h"

namespace nsr::channels {

Case& Table::channel(std::string name, Where where, std::function<Attempt(Stage&)> run) {
    return cases_.emplace_back(Case{Kind::kChannel, std::move(name), where, std::move(run)});
}

Case& Table::control(std::string name, Where where, std::function<Attempt(Stage&)> run) {
    return cases_.emplace_back(Case{Kind::kControl, std::move(name), where, std::move(run)});
}

Case& Table::report(std::string name, Where where, std::string why, std::function<Attempt(Stage&)> run) {
    Case& added = cases_.emplace_back(Case{Kind::kReport, std::move(name), where, std::move(run)});
    added.open = std::move(why);
    return added;
}

Table all_cases() {
    Table table;
    for (auto* family : {add_new_inodes,
                         add_temporary_files,
                         add_ways_in,
                         add_identities,
                         add_set_group_id,
                         add_owners,
                         add_acls,
                         add_capabilities,
                         add_ring,
                         add_btrfs,
                         add_overlay_mounts,
                         add_overlay_writes,
                         add_idmapped,
                         add_other_file_systems,
                         add_queues,
                         add_system_v,
                         add_keys,
                         add_groups,
                         add_cgroups,
                         add_existing_files,
                         add_own_file_systems,
                         add_nested,
                         add_descriptors,
                         add_unmanaged})
        family(table);
    return table;
}

}  // namespace nsr::channels
