// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "base/log.h"
#include "namespaces/map_files.h"
#include "service/accounts.h"
#include "service/methods.h"
#include "service/parent_view.h"
#include "service/policy_entries.h"
#include "service/range_picker.h"
#include "service/range_state.h"
#include "service/release.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using namespaces::IdMap;
using registry::Registration;
using varlink::Kind;
using varlink::Presence;

constexpr std::array<std::string_view, 2> kTypes{"managed", "self"};
constexpr std::array<varlink::Field, 8> kFields{{
    {"name", Kind::kString},
    {"mangleName", Kind::kBool, Presence::kOptional},
    {"size", Kind::kInt, Presence::kMandatory, varlink::kAnySize},
    {"target", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
    {"type", Kind::kString, Presence::kOptional, {}, kTypes},
    {"delegateContainerRanges", Kind::kInt, Presence::kOptional, varlink::kUint32Bounds},
    {"mapForeign", Kind::kBool, Presence::kOptional},
}};

constexpr int64_t kMaxDelegations = 16;
/// target + size may not reach beyond the last id.
constexpr int64_t kTargetEnd = 4294967295;
/// The ids that foreign disk images are stored with (interface.md section 2, mapForeign).
constexpr uint32_t kForeignStart = 2147352576, kForeignSize = 65536;
/// How often another caller may snatch the range that was just found free.
constexpr int kMaxRaces = 64;

enum class Type { kManaged, kSelf };

/// What is asked for, once it has been found to make sense.
struct Wish {
    std::string name;
    Type type = Type::kManaged;
    uint32_t size = 0;
    std::optional<uint32_t> target;
    uint32_t delegations = 0;
    bool foreign = false;
};

OrFault<Wish> read_wish(const varlink::Call& call) {
    const auto& parameters = call.parameters;
    Wish wish;
    wish.name = TRY(take_name(call));
    wish.type = parameters.string("type").value_or("managed") == "self" ? Type::kSelf : Type::kManaged;
    int64_t size = *parameters.integer("size");
    bool known_size = size == 1 || (size == 65536 && wish.type == Type::kManaged);
    if (!known_size) return refuse_parameter("size");
    wish.size = static_cast<uint32_t>(size);
    if (auto target = parameters.integer("target")) {
        bool fits = wish.type == Type::kSelf ? *target == 0 : *target + size <= kTargetEnd;
        if (!fits) return refuse_parameter("target");
        wish.target = static_cast<uint32_t>(*target);
    }
    int64_t delegations = parameters.integer("delegateContainerRanges").value_or(0);
    if (delegations > kMaxDelegations) return refuse("TooManyDelegations");
    wish.delegations = static_cast<uint32_t>(delegations);
    wish.foreign = parameters.boolean("mapForeign").value_or(false);
    return wish;
}

/// One call, from the wish to the maps.
class Allocation {
public:
    Allocation(Context& context, const varlink::Call& call, Wish wish, const namespaces::UserNamespace& userns,
               const ParentView& parent)
        : context_(context), call_(call), peer_(call.peer), wish_(std::move(wish)), userns_(userns), parent_(parent) {}

    OrFault<void> run();
    const std::string& name() const { return wish_.name; }

private:
    OrFault<namespaces::MapFiles> open_empty_maps();
    OrFault<void> choose_fixed_ids();
    OrFault<void> choose_own_ids();
    struct MapPair {
        IdMap uids, gids;
    };
    MapPair make_maps() const;
    OrFault<void> require_disjoint_lines() const;
    OrFault<void> choose_transient_range(RangePicker& picker);
    OrFault<void> choose_delegates(RangePicker& picker);
    OrFault<Uid> pick(RangePicker& picker);
    OrFault<void> choose_ranges(RangePicker& own_picker, RangePicker& container_picker);
    OrFault<void> reserve_ranges();
    bool uses_up_ranges() const;
    OrFault<void> require_share() const;
    void return_unused_ranges();
    Result<registry::Taken> ranges_state() const;
    enum class Recorded { kDone, kSomethingTaken };
    OrFault<Recorded> record();
    IdMap make_map(uint32_t inside, uint32_t outside) const;
    bool deny_setgroups_by_file() const;
    OrFault<void> write_maps(namespaces::MapFiles& files);
    OrFault<void> put_in_force(namespaces::MapFiles& files);
    Status undo(const namespaces::MapFiles& files);

    Context& context_;
    const varlink::Call& call_;
    const varlink::Peer& peer_;
    Wish wish_;
    const namespaces::UserNamespace& userns_;
    const ParentView& parent_;
    Registration registration_;
    std::vector<Uid> chosen_;  ///< by now, of the pools
};

// Where the kernel policy refuses setgroups(2), it can allow it again further down, which the file cannot.
bool Allocation::deny_setgroups_by_file() const {
    return wish_.type == Type::kSelf && context_.level != policy::Level::kEnforce;
}

OrFault<namespaces::MapFiles> Allocation::open_empty_maps() {
    auto setgroups = deny_setgroups_by_file() ? namespaces::MapFiles::Setgroups::kWillBeDenied
                                              : namespaces::MapFiles::Setgroups::kLeftAlone;
    auto files = TRY_SYSTEM(namespaces::MapFiles::open(userns_, parent_.userns(), context_.own, setgroups));
    bool empty = TRY_SYSTEM(files.uid_map()).empty() && TRY_SYSTEM(files.gid_map()).empty();
    if (!empty) return refuse_parameter(kUserNamespaceField);
    return files;
}

// The ids that nothing has to be searched for.
OrFault<void> Allocation::choose_fixed_ids() {
    if (wish_.foreign && !parent_.maps_one_to_one(kForeignStart, kForeignSize)) return refuse_parameter("mapForeign");
    if (wish_.type == Type::kSelf) return choose_own_ids();
    return {};
}

OrFault<void> Allocation::choose_own_ids() {
    auto uid = parent_.inside(peer_.uid);
    auto gid = parent_.inside(peer_.gid);
    // 65535 means nobody to too many: such a record could not even be read again.
    bool good = uid && gid && is_valid_id(uid->value) && is_valid_id(gid->value) && is_valid_id(peer_.gid.value);
    if (!good) return Refusal(varlink::system_error(ESRCH));
    registration_.range = registry::TransientRange{.size = 1,
                                                   .start = peer_.uid,
                                                   .target = wish_.target.value_or(uid->value),
                                                   .start_gid = peer_.gid,
                                                   .target_gid = wish_.target.value_or(gid->value)};
    registration_.setgroups = Registration::Setgroups::kDenied;
    return {};
}

OrFault<Uid> Allocation::pick(RangePicker& picker) {
    Uid start = TRY(picker.pick());
    chosen_.push_back(start);
    return start;
}

// With every type and size the delegated ranges come from the container pool.
OrFault<void> Allocation::choose_delegates(RangePicker& picker) {
    registration_.delegates.clear();
    for (uint32_t i = 0; i < wish_.delegations; ++i) {
        Uid start = TRY(pick(picker));
        registration_.delegates.push_back(
            {userns_.identity().inode, start, Gid(start.value), ranges::kContainerPool.size});
    }
    return {};
}

OrFault<void> Allocation::choose_ranges(RangePicker& own_picker, RangePicker& container_picker) {
    bool one_pool = wish_.size == ranges::kContainerPool.size;
    if (wish_.type == Type::kManaged) TRY(choose_transient_range(own_picker));
    TRY(choose_delegates(one_pool ? own_picker : container_picker));
    TRY(require_disjoint_lines());
    if (own_picker.has_asked_about_name()) return {};
    own_picker.ask_host_about({});
    return require_name_unknown_to_host(context_, wish_.name);
}

// What is in the way is looked for only when something is: usually a new name and a new namespace meet a free range.
OrFault<void> Allocation::reserve_ranges() {
    std::string delegates_name = wish_.name + "/delegates";
    for (int race = 0; race < kMaxRaces; ++race) {
        RangePicker own_picker(context_, parent_, *ranges::pool_for_size(wish_.size), wish_.name, peer_.uid);
        RangePicker container_picker(context_, parent_, ranges::kContainerPool, delegates_name, peer_.uid);
        own_picker.ask_host_about(wish_.name);
        OrFault<void> chosen = require_share();
        if (chosen) chosen = choose_ranges(own_picker, container_picker);
        auto recorded = chosen ? record() : OrFault<Recorded>(Recorded::kSomethingTaken);
        if (recorded && *recorded == Recorded::kDone) return {};
        return_unused_ranges();
        TRY(require_unregistered(context_, userns_));
        TRY(require_free_name(context_, wish_.name));
        if (!own_picker.has_asked_about_name()) TRY(require_name_unknown_to_host(context_, wish_.name));
        TRY(std::move(chosen));
        TRY(std::move(recorded));
    }
    return Refusal(varlink::system_error(EBUSY));
}

bool Allocation::uses_up_ranges() const { return context_.level == policy::Level::kQuarantine && parent_.is_own(); }

OrFault<void> Allocation::require_share() const {
    if (!uses_up_ranges()) return {};
    for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
        uint32_t wanted = *pool == ranges::kContainerPool ? wish_.delegations : 0;
        if (wish_.type == Type::kManaged && pool->size == wish_.size) ++wanted;
        if (TRY_SYSTEM(share(context_, *pool, peer_.uid, wanted)) == Share::kUsedUp) return refuse("NoDynamicRange");
    }
    return {};
}

// At the level `quarantine` a range is never given again, but one that nobody has used yet may be.
void Allocation::return_unused_ranges() {
    if (!uses_up_ranges()) return;
    for (Uid start : std::exchange(chosen_, {})) {
        // They are ours alone until they are back, so they can only name the caller, if they were recorded.
        context_.users.forget(start);
        if (auto returned = context_.used_set->return_unused(start); !returned)
            log::warning("Range {} is lost until it is reclaimed: {}", start, returned.error().what());
    }
}

OrFault<void> Allocation::choose_transient_range(RangePicker& picker) {
    uint32_t target = wish_.target.value_or(0);
    Uid start = TRY(pick(picker));
    registration_.range = registry::TransientRange{
        .size = wish_.size, .start = start, .target = target, .start_gid = Gid(start.value), .target_gid = target};
    return {};
}

// Under the lock: another worker may have been faster since they were chosen. Store::add() meets whoever has the own
// range as its own; a range that is to be delegated has no file that would.
Result<registry::Taken> Allocation::ranges_state() const {
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

OrFault<Allocation::Recorded> Allocation::record() {
    TRY(require_room(context_, peer_.uid));
    auto lock = TRY_SYSTEM(context_.store.lock());
    // Calls of the same user at the same time may have been faster.
    TRY(require_room(context_, lock, peer_.uid));
    TRY(require_share());
    if (TRY_SYSTEM(ranges_state()) == registry::Taken::kTaken) return Recorded::kSomethingTaken;
    auto origin = parent_.is_own() ? Origin::kPool : Origin::kParent;
    auto added = enter_registry(context_, lock, registration_, origin);
    // The namespace or the name; reserve_ranges() finds out which.
    if (!added && added.error().code() == EEXIST) return Recorded::kSomethingTaken;
    TRY_SYSTEM(std::move(added));
    return Recorded::kDone;
}

// `inside` and `outside` are those of the first line.
IdMap Allocation::make_map(uint32_t inside, uint32_t outside) const {
    IdMap map{{inside, outside, wish_.size}};
    for (const auto& delegate : registration_.delegates)
        map.push_back({delegate.start.value, delegate.start.value, delegate.size});
    if (wish_.foreign) map.push_back({kForeignStart, kForeignStart, kForeignSize});
    return map;
}

Allocation::MapPair Allocation::make_maps() const {
    const auto& range = *registration_.range;
    // The kernel takes ids as the namespace above calls them.
    auto uid = parent_.is_own() || registration_.is_transient() ? range.start : *parent_.inside(range.start);
    auto gid = parent_.is_own() || registration_.is_transient() ? range.start_gid : *parent_.inside(range.start_gid);
    return {make_map(range.target, uid.value), make_map(range.target_gid, gid.value)};
}

// The kernel would say so, but for the second map only when the first is written and cannot be taken back.
OrFault<void> Allocation::require_disjoint_lines() const {
    auto maps = make_maps();
    if (namespaces::has_overlap(maps.uids) || namespaces::has_overlap(maps.gids))
        return Refusal(varlink::system_error(EINVAL));
    return {};
}

OrFault<void> Allocation::write_maps(namespaces::MapFiles& files) {
    auto [uids, gids] = make_maps();
    if (deny_setgroups_by_file()) TRY_SYSTEM(files.deny_setgroups());
    TRY_SYSTEM(files.write_gid_map(gids));
    TRY_SYSTEM(files.write_uid_map(uids));
    return {};
}

// No process may have the ids for a moment before the kernel policy knows of them.
OrFault<void> Allocation::put_in_force(namespaces::MapFiles& files) {
    TRY_SYSTEM(enter_policy(context_, registration_));
    return write_maps(files);
}

// What the maps say decides: if one of the two was taken, the ids are in use there, and the record has to stay until
// the namespace is dead. That happens only if the caller wrote a map itself at the same moment.
Status Allocation::undo(const namespaces::MapFiles& files) {
    bool mapped = !TRY(files.uid_map()).empty() || !TRY(files.gid_map()).empty();
    if (mapped) {
        context_.announce(userns_.identity(), registration_.owner);
        return context_.store.commit(context_.writer);
    }
    TRY(remove(context_, registration_));
    TRY(context_.store.drop_pending(context_.writer));
    return_unused_ranges();
    return {};
}

OrFault<void> Allocation::run() {
    auto files = TRY(open_empty_maps());
    TRY(require_authority(context_, call_, authority::kAllocateUserNamespace, "name", wish_.name));
    registration_.owner = peer_.uid;
    registration_.name = wish_.name;
    registration_.userns = userns_.identity();
    auto fit = choose_fixed_ids();
    if (!fit) {
        // Those complaints come first.
        TRY(require_unregistered(context_, userns_));
        TRY(require_free_name(context_, wish_.name));
        return fit;
    }
    TRY(reserve_ranges());
    auto written = put_in_force(files);
    if (!written) {
        if (auto undone = undo(files); !undone) end_worker(undone.error());
        return written;
    }
    context_.announce(userns_.identity(), registration_.owner);
    TRY_SYSTEM(context_.store.commit(context_.writer));
    return {};
}

OrFault<std::string> allocate(Context& context, varlink::Call& call) {
    Wish wish = TRY(read_wish(call));
    auto userns = TRY(take_user_namespace(context, call));
    auto parent = TRY(ParentView::of(context, userns));
    Allocation allocation(context, call, std::move(wish), userns, parent);
    TRY(allocation.run());
    return allocation.name();
}

}  // namespace

std::span<const varlink::Field> allocate_user_range_fields() { return kFields; }

varlink::Outcome allocate_user_range(Context& context, varlink::Call& call) {
    auto name = allocate(context, call);
    if (!name) return std::move(name).error();
    return varlink::Reply{{{"name", *name}}, {}};
}

}  // namespace nsr::service
