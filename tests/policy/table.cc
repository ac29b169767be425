// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table.h"

namespace nsr::channels {

Case& Table::channel(std::string name, Where where, std::function<Attempt(Stage&)> run) {
    return cases_.emplace_back(Case{Kind::kChannel, std::move(name), where, std::move(run), power_});
}

Case& Table::control(std::string name, Where where, std::function<Attempt(Stage&)> run) {
    return cases_.emplace_back(Case{Kind::kControl, std::move(name), where, std::move(run)});
}

Case& Table::documented(std::string name, std::string power, std::function<Attempt(Stage&)> run) {
    return cases_.emplace_back(
        Case{Kind::kDocumented, std::move(name), Where::kOnce, std::move(run), std::move(power)});
}

Case& Table::report(std::string name, Where where, std::string why, std::function<Attempt(Stage&)> run) {
    Case& added = cases_.emplace_back(Case{Kind::kReport, std::move(name), where, std::move(run)});
    added.open = std::move(why);
    return added;
}

Table all_cases() {
    constexpr std::pair<void (*)(Table&), const char*> kFamilies[] = {{add_new_inodes, "owns it"},
                                                                      {add_temporary_files, "owns it"},
                                                                      {add_ways_in, "owns it"},
                                                                      {add_identities, "owns it"},
                                                                      {add_set_group_id, "group's rights"},
                                                                      {add_owners, "owns it"},
                                                                      {add_acls, "reads, writes it"},
                                                                      {add_capabilities, "capabilities"},
                                                                      {add_ring, "owns it"},
                                                                      {add_btrfs, "owns it"},
                                                                      {add_overlay_mounts, "owns it"},
                                                                      {add_overlay_writes, "owns it"},
                                                                      {add_idmapped, "owns it"},
                                                                      {add_other_file_systems, "owns it"},
                                                                      {add_queues, "reads, writes it"},
                                                                      {add_set_group_id_rules, "group's rights"},
                                                                      {add_system_v, "reads, writes it"},
                                                                      {add_keys, "reads, changes it"},
                                                                      {add_key_groups, "reads, changes it"},
                                                                      {add_groups, "drops a group"},
                                                                      {add_cgroups, "sets limits"},
                                                                      {add_controllers, "sets limits"},
                                                                      {add_existing_files, "owns it"},
                                                                      {add_own_file_systems, ""},
                                                                      {add_nested, "owns it"},
                                                                      {add_descriptors, "owns it"},
                                                                      {add_sockets, "takes connections"},
                                                                      {add_signals, "kills processes"},
                                                                      {add_mount_options, "owns it"},
                                                                      {add_taps, "attaches to it"},
                                                                      {add_documented, ""},
                                                                      {add_unmanaged, ""}};
    Table table;
    for (const auto& [add, power] : kFamilies) {
        table.set_power(power);
        add(table);
    }
    return table;
}

}  // namespace nsr::channels
