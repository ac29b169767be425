// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attempt.h"

namespace nsr::channels {

class Stage;

/// A channel is to be refused, a control to be allowed. What is only reported has no right answer yet: the case says
/// why, and it never fails a run. What is documented stays in spite of the policy (doc/policy-coverage.md), with little
/// or no power: it has to be shown still.
enum class Kind { kChannel, kControl, kReport, kDocumented };
/// Where it is tried: on each file system, or on one only; kOnce: where the file system does not matter.
enum class Where { kEach, kExt4, kBtrfs, kGrpid, kOnce };

/// Something to try.
struct Case {
    Kind kind;
    std::string name;
    Where where;
    std::function<Attempt(Stage&)> run;
    /// What a later owner of the id, or another user, can do with what is left.
    std::string power{};
    /// An answer other than EPERM that is as good, and why.
    std::vector<std::pair<int, std::string>> also{};
    /// Nothing new is there to be found where it is allowed: the answer alone counts.
    bool judged_by_answer = false;
    /// Not empty: refused without the policy, too, and this is why.
    std::string refused_anyway{};
    /// Not empty: why it is only reported.
    std::string open{};
    /// Not empty: allowed at the level `enforce` only, and this is why.
    std::string needs_enforce{};

    Case& accept(int code, std::string why) { return also.emplace_back(code, std::move(why)), *this; }
    Case& by_answer() { return judged_by_answer = true, *this; }
    Case& anyway(std::string why) { return refused_anyway = std::move(why), *this; }
    Case& enforce_only(std::string why) { return needs_enforce = std::move(why), *this; }
};

/// All cases, in the order in which they are tried.
class Table {
public:
    Case& channel(std::string name, Where where, std::function<Attempt(Stage&)> run);
    Case& control(std::string name, Where where, std::function<Attempt(Stage&)> run);
    /// What is left after the attempt is to be among its remains.
    Case& documented(std::string name, std::string power, std::function<Attempt(Stage&)> run);
    /// Of the channels that are added from now on.
    void set_power(std::string power) { power_ = std::move(power); }
    /// `why` it has no right answer.
    Case& report(std::string name, Where where, std::string why, std::function<Attempt(Stage&)> run);

    const std::vector<Case>& cases() const { return cases_; }

private:
    std::vector<Case> cases_;
    std::string power_;
};

// The families; each has a file of its own.
void add_new_inodes(Table& table);
void add_temporary_files(Table& table);
void add_ways_in(Table& table);
void add_identities(Table& table);
void add_set_group_id(Table& table);
void add_owners(Table& table);
void add_acls(Table& table);
void add_capabilities(Table& table);
void add_ring(Table& table);
void add_btrfs(Table& table);
void add_overlay_mounts(Table& table);
void add_overlay_writes(Table& table);
void add_idmapped(Table& table);
void add_other_file_systems(Table& table);
void add_queues(Table& table);
void add_set_group_id_rules(Table& table);
void add_system_v(Table& table);
void add_keys(Table& table);
void add_key_groups(Table& table);
void add_groups(Table& table);
void add_cgroups(Table& table);
void add_controllers(Table& table);
void add_existing_files(Table& table);
void add_own_file_systems(Table& table);
void add_nested(Table& table);
void add_descriptors(Table& table);
void add_sockets(Table& table);
void add_signals(Table& table);
void add_mount_options(Table& table);
void add_taps(Table& table);
void add_documented(Table& table);
void add_unmanaged(Table& table);
Table all_cases();

}  // namespace nsr::channels
