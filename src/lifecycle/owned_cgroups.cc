// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/owned_cgroups.h"

#include <algorithm>

namespace nsr::lifecycle {

Result<OwnedCgroups::Holders*> OwnedCgroups::holders(const registry::Store& store, Uid owner) {
    auto known = by_owner_.find(owner);
    if (known != by_owner_.end()) return &known->second;
    Holders found;
    for (NsInode inode : TRY(store.owned(owner))) {
        auto registration = store.find_by_inode(inode);
        if (!registration || !*registration) continue;
        for (CgroupId id : (*registration)->cgroups) found[id].push_back((*registration)->userns);
    }
    return &by_owner_.emplace(owner, std::move(found)).first->second;
}

Result<registry::Taken> OwnedCgroups::has_another(const registry::Store& store,
                                                  const registry::Registration& registration, CgroupId id) {
    Holders* all = TRY(holders(store, registration.owner));
    auto found = all->find(id);
    bool another = found != all->end() && std::ranges::any_of(found->second, [&](const NsIdentity& holder) {
                       return holder != registration.userns;
                   });
    return another ? registry::Taken::kTaken : registry::Taken::kFree;
}

void OwnedCgroups::forget(const registry::Registration& registration) {
    auto known = by_owner_.find(registration.owner);
    if (known == by_owner_.end()) return;
    for (CgroupId id : registration.cgroups) std::erase(known->second[id], registration.userns);
}

}  // namespace nsr::lifecycle
