// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>

#include "ranges/candidates.h"
#include "service/context.h"
#include "service/fault.h"
#include "service/parent_view.h"

namespace nsr::service {

/// Finds a range that nobody uses, for one call, without the registry lock: whoever records it must look again.
class RangePicker {
public:
    /// `name` decides which ranges are tried first.
    RangePicker(Context& context, const ParentView& parent, const ranges::Pool& pool, std::string_view name,
                Uid caller);

    /// Has the host asked about the name `ns-<name>-0` along with the first range, which saves a round of questions.
    void ask_host_about(std::string_view name) { host_name_ = name; }
    /// Whether that was done; pick() then has refused with NameExists if the name is known.
    bool has_asked_about_name() const { return host_name_.empty(); }

    /// A range that this picker has not given before. DynamicRangeUnavailable: the namespace above has none of this
    /// kind. NoDynamicRange: all are taken.
    OrFault<Uid> pick();

private:
    OrFault<std::optional<Uid>> try_to_pick();
    OrFault<void> require_name_unknown();
    Result<registry::Taken> look_everywhere(Uid start);
    Result<std::optional<Uid>> pick_outside(ranges::Bitmap taken);
    Result<std::optional<Uid>> pick_recycled();
    Result<std::optional<Uid>> pick_fresh();

    Context& context_;
    const ParentView& parent_;
    const ranges::Pool& pool_;
    ranges::Candidates candidates_;
    Uid caller_;
    uint64_t host_deadline_usec_;  ///< for all questions to the host together
    std::set<Uid> given_;
    std::string_view host_name_;
    bool name_is_known_ = false;
};

}  // namespace nsr::service
