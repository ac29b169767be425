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
    add_new_inodes(table);
    add_temporary_files(table);
    add_ways_in(table);
    add_identities(table);
    add_set_group_id(table);
    add_owners(table);
    add_acls(table);
    add_capabilities(table);
    add_ring(table);
    add_btrfs(table);
    add_overlay_mounts(table);
    add_overlay_writes(table);
    add_idmapped(table);
    add_other_file_systems(table);
    add_queues(table);
    add_set_group_id_rules(table);
    add_system_v(table);
    add_keys(table);
    add_key_groups(table);
    add_groups(table);
    add_cgroups(table);
    add_controllers(table);
    add_existing_files(table);
    add_own_file_systems(table);
    add_nested(table);
    add_descriptors(table);
    add_sockets(table);
    add_signals(table);
    add_mount_options(table);
    add_taps(table);
    add_unmanaged(table);
    return table;
}

}  // namespace nsr::channels
