// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "lifecycle/instance.h"

namespace nsr::lifecycle {

/// Puts the table of users right at the start of the manager, from the registrations that there are: another service
/// may have changed the registry meanwhile, and the table may be new.
class UserRecovery {
public:
    explicit UserRecovery(Instance& instance) : instance_(instance) {}

    /// A registration stays.
    void keep(const registry::Registration& registration);
    /// After the registry was put right.
    void complete();

private:
    /// Who has a range: the outermost one, if it was handed on to namespaces below.
    struct Holding {
        Uid start, owner;
        NsInode userns;
    };

    void keep_outermost();
    void resolve(const Holding& holding);

    Instance& instance_;
    std::vector<Holding> holdings_;
};

/// At the start at level `quarantine`: what was handed out at another level, and is not used up, counts against no
/// user. Ranges that are in use are marked as used by then.
Status forget_unused_ranges(Instance& instance);

}  // namespace nsr::lifecycle
