// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/range_reservation.h"

#include <algorithm>

#include "lifecycle/accounts.h"
#include "lifecycle/removal.h"
#include "service/patience.h"
#include "service/range_maps.h"
#include "service/range_state.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using lifecycle::Origin;
using lifecycle::Room;
using lifecycle::Source;
using lifecycle::Transaction;
using registry::Registration;
using Type = AllocationRequest::Type;

/// How often another caller may snatch the range that was just found free.
constexpr int kMaxRaces = 64;

}  // namespace

/// At the level `quarantine` a range is never given again, but one that no namespace has had yet may be.
class RangeReservation::Chosen {
public:
    enum class From { kStock, kElsewhere };
    Chosen(Context& context, From from) : context_(context), from_(from) {}
    Chosen(const Chosen&) = delete;
    Chosen& operator=(const Chosen&) = delete;
    ~Chosen() {
        if (from_ == From::kStock) lifecycle::return_to_stock(context_, starts_);
    }

    OrFault<Uid> pick(RangePicker& picker) {
        Uid start = TRY(picker.pick());
        starts_.push_back(start);
        return start;
    }
    /// They are recorded: the transaction has them.
    void let_go() { starts_.clear(); }

private:
    Context& context_;
    From from_;
    std::vector<Uid> starts_;
};

RangeReservation::RangeReservation(Context& context, const AllocationRequest& request, const varlink::Peer& peer,
                                   const namespaces::UserNamespace& userns, const ParentView& parent)
    : context_(context), request_(request), peer_(peer), userns_(userns), parent_(parent) {
    registration_.owner = peer.uid;
    registration_.name = request.name;
    registration_.userns = userns.identity();
}

OrFault<Transaction> RangeReservation::make() {
    if (request_.type == Type::kSelf) TRY(choose_own_ids());
    Patience patience;
    for (int race = 0; race < kMaxRaces; ++race) {
        TRY(require_share());
        Chosen chosen(context_, uses_up_ranges() ? Chosen::From::kStock : Chosen::From::kElsewhere);
        TRY(choose_ranges(chosen));
        if (auto recorded = TRY(record())) {
            chosen.let_go();
            return std::move(*recorded);
        }
        TRY(require_nothing_in_the_way());
        if (is_at_another_call() && patience.wait() == Patience::Wait::kOver) break;
    }
    return Refusal(varlink::system_error(EBUSY));
}

OrFault<void> RangeReservation::choose_own_ids() {
    auto uid = parent_.inside(peer_.uid);
    auto gid = parent_.inside(peer_.gid);
    // 65535 stands for no user in too many programs: such a record could not even be read again.
    bool good = uid && gid && is_valid_id(uid->value) && is_valid_id(gid->value) && is_valid_id(peer_.gid.value);
    if (!good) return Refusal(varlink::system_error(ESRCH));
    registration_.range = registry::TransientRange{.size = 1,
                                                   .start = peer_.uid,
                                                   .target = request_.target.value_or(uid->value),
                                                   .start_gid = peer_.gid,
                                                   .target_gid = request_.target.value_or(gid->value)};
    registration_.setgroups = Registration::Setgroups::kDenied;
    return {};
}

OrFault<void> RangeReservation::choose_ranges(Chosen& chosen) {
    RangePicker own_picker(context_, parent_, *ranges::pool_for_size(request_.size), request_.name, peer_.uid);
    RangePicker container_picker(context_, parent_, ranges::kContainerPool, request_.name + "/delegates", peer_.uid);
    own_picker.ask_host_about(request_.name);
    bool one_pool = request_.size == ranges::kContainerPool.size;
    if (request_.type == Type::kManaged) TRY(choose_transient_range(own_picker, chosen));
    TRY(choose_delegates(one_pool ? own_picker : container_picker, chosen));
    TRY(require_disjoint_lines(maps_of(registration_, request_, parent_)));
    if (own_picker.has_asked_about_name()) return {};
    return require_name_unknown_to_host(context_, request_.name);
}

OrFault<void> RangeReservation::choose_transient_range(RangePicker& picker, Chosen& chosen) {
    uint32_t target = request_.target.value_or(0);
    Uid start = TRY(chosen.pick(picker));
    registration_.range = registry::TransientRange{
        .size = request_.size, .start = start, .target = target, .start_gid = Gid(start.value), .target_gid = target};
    return {};
}

// With every type and size the delegated ranges come from the container pool.
OrFault<void> RangeReservation::choose_delegates(RangePicker& picker, Chosen& chosen) {
    registration_.delegates.clear();
    for (uint32_t i = 0; i < request_.delegations; ++i) {
        Uid start = TRY(chosen.pick(picker));
        registration_.delegates.push_back(
            {userns_.identity().inode, start, Gid(start.value), ranges::kContainerPool.size});
    }
    return {};
}

bool RangeReservation::uses_up_ranges() const {
    return context_.level == policy::Level::kQuarantine && parent_.is_own();
}

OrFault<void> RangeReservation::require_share() const {
    if (!uses_up_ranges()) return {};
    for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
        uint32_t wanted = *pool == ranges::kContainerPool ? request_.delegations : 0;
        if (request_.type == Type::kManaged && pool->size == request_.size) ++wanted;
        auto share = TRY_SYSTEM(lifecycle::share(context_, *pool, peer_.uid, wanted));
        if (share == lifecycle::Share::kUsedUp) return refuse("NoDynamicRange");
    }
    return {};
}

// Another call may have taken the namespace or the name meanwhile, or been cut short at the same namespace.
OrFault<void> RangeReservation::require_nothing_in_the_way() {
    TRY(require_unregistered(context_, userns_));
    return require_free_name(context_, request_.name);
}

bool RangeReservation::is_at_another_call() const {
    auto others = context_.journal.others();
    return std::ranges::find(others, userns_.identity().inode, &lifecycle::Journal::Item::userns) != others.end();
}

// Under the lock: another worker may have been faster since they were chosen. Store::add() meets whoever has the own
// range as its own; a range that is to be delegated has no file that would.
Result<registry::Taken> RangeReservation::ranges_state() const {
    if (registration_.is_transient()) {
        Uid start = registration_.range->start;
        auto state = parent_.is_own() ? context_.store.delegation_taken(start) : range_state(context_, parent_, start);
        if (!state || *state == registry::Taken::kTaken) return state;
    }
    for (const auto& delegate : registration_.delegates) {
        auto state = range_state(context_, parent_, delegate.start);
        if (!state || *state == registry::Taken::kTaken) return state;
    }
    return registry::Taken::kFree;
}

// Nothing: the namespace, the name or a range is taken, or another call for the namespace is not finished.
OrFault<std::optional<Transaction>> RangeReservation::record() {
    TRY(require_room(context_, peer_.uid));
    auto lock = TRY_SYSTEM(context_.store.lock());
    // Calls of the same user at the same time may have been faster.
    if (lifecycle::room(context_, lock, peer_.uid) == Room::kNone) return Refusal(varlink::system_error(EUSERS));
    TRY(require_share());
    if (TRY_SYSTEM(ranges_state()) == registry::Taken::kTaken) return std::nullopt;
    auto origin = parent_.is_own() ? Origin::kPool : Origin::kParent;
    auto source = uses_up_ranges() ? Source::kStock : Source::kElsewhere;
    auto begun =
        Transaction::begin_registration(context_, lock, lifecycle::Step::kRecording, registration_, origin, source);
    if (!begun && (begun.error().code() == EEXIST || begun.error().code() == EBUSY)) return std::nullopt;
    return TRY_SYSTEM(std::move(begun));
}

}  // namespace nsr::service
