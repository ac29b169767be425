// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/range_picker.h"

#include "base/log.h"
#include "base/sys.h"
#include "service/patience.h"
#include "service/range_state.h"
#include "service/request.h"

namespace nsr::service {

using registry::Taken;

RangePicker::RangePicker(Context& context, const ParentView& parent, const ranges::Pool& pool, std::string_view name,
                         Uid caller)
    : context_(context),
      parent_(parent),
      pool_(pool),
      candidates_(pool, parent.one_to_one(), name),
      caller_(caller),
      host_deadline_usec_(sys::now_usec() + kHostIdsTimeoutUsec) {}

Result<Taken> RangePicker::look_everywhere(Uid start) {
    if (given_.contains(start)) return Taken::kTaken;
    if (TRY(range_state_after_release(context_, parent_, start, caller_)) == Taken::kTaken) return Taken::kTaken;
    // A range without a record may still be one whose record another process has removed.
    if (parent_.is_own() && context_.taken.is_set(start)) return Taken::kTaken;
    // Below a namespace that was given its ids, the host's users have been looked at when it got them.
    if (!parent_.is_own()) return Taken::kFree;
    if (context_.used_set && context_.level != policy::Level::kQuarantine &&
        TRY(context_.used_set->state_of(start)) == ranges::UsedSet::State::kUsed)
        return Taken::kTaken;
    auto use = TRY(context_.host_ids.check(start, pool_.size, std::exchange(host_name_, {}), host_deadline_usec_));
    // The call is refused then, and the range is as good for another one.
    if (use == hostdb::HostIds::Use::kNameKnown) name_is_known_ = true;
    return use == hostdb::HostIds::Use::kTaken ? Taken::kTaken : Taken::kFree;
}

Result<std::optional<Uid>> RangePicker::pick_outside(ranges::Bitmap taken) {
    while (auto index = candidates_.first_free(taken)) {
        Uid start = pool_.start_of(*index);
        if (TRY(look_everywhere(start)) == Taken::kFree) return std::optional(start);
        taken.set(*index);
    }
    return std::optional<Uid>();
}

// First a few places, then all that are free.
Result<std::optional<Uid>> RangePicker::pick_recycled() {
    while (auto index = candidates_.next()) {
        Uid start = pool_.start_of(*index);
        if (TRY(look_everywhere(start)) == Taken::kFree) return std::optional(start);
    }
    // Below a namespace with delegated ranges there are few, each of which is worth a look.
    if (!parent_.is_own()) return pick_outside(ranges::Bitmap(pool_.count()));
    return pick_outside(context_.taken.snapshot(pool_));
}

Result<std::optional<Uid>> RangePicker::pick_fresh() {
    context_.took_fresh_range = true;
    auto judge = [this](Uid start) -> Result<ranges::UsedSet::Verdict> {
        return TRY(look_everywhere(start)) == Taken::kFree ? ranges::UsedSet::Verdict::kAcceptable
                                                           : ranges::UsedSet::Verdict::kTaken;
    };
    auto start = TRY(context_.used_set->take(candidates_, judge));
    if (!start)
        log::warning("All ranges of size {} were handed out: free some with 'nsresourcectl reclaim'", pool_.size);
    if (start && name_is_known_) TRY(context_.used_set->return_unused(*start));
    return start;
}

OrFault<std::optional<Uid>> RangePicker::try_to_pick() {
    // What a namespace was given stays in its hands: its ranges may go from one child to the next.
    bool fresh = context_.level == policy::Level::kQuarantine && parent_.is_own();
    auto start = fresh ? TRY_SYSTEM(pick_fresh()) : TRY_SYSTEM(pick_recycled());
    if (name_is_known_) return refuse("NameExists");
    return start;
}

// A complaint about the name comes before one about the ranges.
OrFault<void> RangePicker::require_name_unknown() {
    if (host_name_.empty()) return {};
    return require_name_unknown_to_host(context_, std::string(std::exchange(host_name_, {})));
}

// One of the holders may just be dying: below a namespace with few ranges that decides.
OrFault<Uid> RangePicker::pick() {
    if (candidates_.count() == 0) {
        TRY(require_name_unknown());
        return refuse("DynamicRangeUnavailable");
    }
    for (Patience patience;;) {
        if (auto start = TRY(try_to_pick())) {
            given_.insert(*start);
            return *start;
        }
        TRY(require_name_unknown());
        if (parent_.is_own() || patience.wait() == Patience::Wait::kOver) return refuse("NoDynamicRange");
    }
}

}  // namespace nsr::service
