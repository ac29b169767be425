// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "lifecycle/instance.h"

namespace nsr::lifecycle {

/// Brings the entries of the kernel policy into line with the registry, at start: usually they are, but an earlier
/// instance may have had no policy, or one of another layout, or somebody may have removed its pins.
class PolicyRecovery {
public:
    explicit PolicyRecovery(Instance& instance) : instance_(instance) {}

    /// A registration that nothing is known of counts from here on, and at the level `enforce` its ranges are marked as
    /// used. Gives whether its namespace lives, looked at after
    /// that, or a death in between would never be heard of.
    namespaces::Life enter(const registry::Registration& registration);
    /// It lives.
    void keep(const registry::Registration& registration);
    /// The registry is in order: settles who has the delegated ranges, and, where all registrations are known, removes
    /// everything else. What is held though it has no record (ranges::TakenMap) stays.
    enum class Known { kAll, kSome };
    Status complete(Known known);

private:
    void complete_claims(const registry::Registration& registration);

    Instance& instance_;
    Status entered_;
    std::set<NsInode> namespaces_;
    std::set<Uid> starts_;
    std::set<std::pair<CgroupId, NsInode>> cgroups_;
    std::vector<Uid> unsettled_;
};

}  // namespace nsr::lifecycle
