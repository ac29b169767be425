// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include "namespaces/map_files.h"
#include "ranges/candidates.h"
#include "ranges/pool.h"
#include "service/context.h"
#include "service/fault.h"

namespace nsr::service {

/// The namespace above the one that a call is about: what it maps is what there is to hand out.
class ParentView {
public:
    static OrFault<ParentView> of(const Context& context, const namespaces::UserNamespace& userns);

    const namespaces::UserNamespace& userns() const { return userns_; }
    /// Whether it is the service's own namespace, to which every id is open.
    bool is_own() const { return is_own_; }
    /// The ids that mean the same inside and outside, uid and gid alike: only these can be handed on.
    const std::vector<ranges::IdInterval>& one_to_one() const { return one_to_one_; }
    bool maps_one_to_one(uint32_t start, uint32_t size) const;
    /// What an outside uid or gid is called there; nothing if it is not mapped.
    std::optional<Uid> inside(Uid outside) const;
    std::optional<Gid> inside(Gid outside) const;

private:
    ParentView(namespaces::UserNamespace userns, bool is_own) : userns_(std::move(userns)), is_own_(is_own) {}

    namespaces::UserNamespace userns_;
    bool is_own_;
    namespaces::Maps maps_;
    std::vector<ranges::IdInterval> one_to_one_;
};

}  // namespace nsr::service
