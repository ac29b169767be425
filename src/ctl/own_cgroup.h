// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "ctl/cgroup_keeper.h"
#include "ctl/options.h"

namespace nsr::ctl {

/// The path of a process in the cgroup2 tree, from the text of its /proc/<pid>/cgroup (cgroups(7)); nothing where there
/// is none, or where it lies outside of the cgroup namespace.
std::optional<std::string> cgroup2_path(std::string_view proc_text);

/// The cgroup that a namespace is to get, with this very process in it. Until keep(), its end removes the cgroup if it
/// was made here, and takes the process back to where it was for that.
class OwnCgroup {
public:
    /// Makes the cgroup `name` below the process's own one, or takes the one that is asked for, and moves in. Called as
    /// the user who is to own it, before that has lost any right. Errors name what a user may do about them.
    static Result<OwnCgroup> enter(const ControlGroup& wanted, const std::string& name);
    OwnCgroup(OwnCgroup&& other) noexcept = default;
    OwnCgroup& operator=(OwnCgroup&&) = delete;
    OwnCgroup(const OwnCgroup&) = delete;
    OwnCgroup& operator=(const OwnCgroup&) = delete;
    ~OwnCgroup();

    /// One more descriptor of the directory, to be sent away.
    Result<UniqueFd> open_again() const;
    /// From now on it is the service that removes the cgroup, with the namespace.
    void keep();
    /// Moves on to a cgroup below: one that has processes of its own cannot give its controllers to others (cgroups(7),
    /// "no internal processes"). Called as the one who has got the cgroup.
    Status enter_leaf() const;

private:
    explicit OwnCgroup(UniqueFd home) : home_(std::move(home)) {}

    /// Where the process was before.
    UniqueFd home_;
    UniqueFd directory_;
    /// Only where the cgroup was made here, and until keep().
    std::optional<CgroupKeeper> keeper_;
};

}  // namespace nsr::ctl
