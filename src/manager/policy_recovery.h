// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "service/context.h"

namespace nsr::manager {

/// Brings the entries of the kernel policy into line with the registry, at start: usually they are, but an earlier
/// instance may have had no policy, or one of another layout, or somebody may have removed its pins.
class PolicyRecovery {
public:
    explicit PolicyRecovery(service::Context& context) : context_(context) {}

    /// A registration that nothing is known of counts from here on, and at the level `enforce` its ranges are marked as
    /// used. Gives whether its namespace lives, looked at after
    /// that, or a death in between would never be heard of.
    namespaces::Life enter(const registry::Registration& registration);
    /// It lives.
    void keep(const registry::Registration& registration);
    /// The registry is in order: settles who has the delegated ranges, and removes everything else.
    Status complete();

private:
    void complete_claims(const registry::Registration& registration);

    service::Context& context_;
    Status entered_;
    std::set<NsInode> namespaces_;
    std::set<Uid> starts_;
    std::set<std::pair<CgroupId, NsInode>> cgroups_;
    std::vector<Uid> unsettled_;
};

}  // namespace nsr::manager
