// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include "lifecycle/transaction.h"
#include "service/allocation_request.h"
#include "service/context.h"
#include "service/parent_view.h"
#include "service/range_picker.h"

namespace nsr::service {

/// Finds the ranges for a call of AllocateUserRange, and records them.
class RangeReservation {
public:
    RangeReservation(Context& context, const AllocationRequest& request, const varlink::Peer& peer,
                     const namespaces::UserNamespace& userns, const ParentView& parent);

    /// The registration, recorded, with no map written yet. InvalidParameter; DynamicRangeUnavailable; NoDynamicRange;
    /// NameExists; UserNamespaceExists; System EINVAL, EBUSY, ESRCH, EUSERS.
    OrFault<lifecycle::Transaction> make();
    const registry::Registration& registration() const { return registration_; }

private:
    /// What was taken from the stock, until it is recorded.
    class Chosen;

    OrFault<void> choose_own_ids();
    OrFault<void> choose_ranges(Chosen& chosen);
    OrFault<void> choose_transient_range(RangePicker& picker, Chosen& chosen);
    OrFault<void> choose_delegates(RangePicker& picker, Chosen& chosen);
    bool uses_up_ranges() const;
    OrFault<void> require_share() const;
    OrFault<void> require_nothing_in_the_way();
    bool is_at_another_call() const;
    Result<registry::Taken> ranges_state() const;
    OrFault<std::optional<lifecycle::Transaction>> record();

    Context& context_;
    const AllocationRequest& request_;
    const varlink::Peer& peer_;
    const namespaces::UserNamespace& userns_;
    const ParentView& parent_;
    registry::Registration registration_;
};

}  // namespace nsr::service
