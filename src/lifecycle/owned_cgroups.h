// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <unordered_map>
#include <vector>

#include "registry/store.h"

namespace nsr::lifecycle {

/// Which registrations of an owner list a cgroup. The records of an owner are read once, so this is for one turn of
/// releases, with their lock held: a registration that lists a cgroup only from later on is not seen.
class OwnedCgroups {
public:
    /// Whether another registration of the same owner lists the cgroup.
    Result<registry::Taken> has_another(const registry::Store& store, const registry::Registration& registration,
                                        CgroupId id);
    /// It is released.
    void forget(const registry::Registration& registration);

private:
    using Holders = std::unordered_map<CgroupId, std::vector<NsIdentity>>;

    Result<Holders*> holders(const registry::Store& store, Uid owner);

    std::unordered_map<Uid, Holders> by_owner_;
};

}  // namespace nsr::lifecycle
