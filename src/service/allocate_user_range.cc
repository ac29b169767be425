// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"
#include "lifecycle/policy_entries.h"
#include "service/allocation_request.h"
#include "service/methods.h"
#include "service/range_maps.h"
#include "service/range_reservation.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using lifecycle::Transaction;
using namespaces::MapFiles;

// Where the kernel policy refuses setgroups(2), it can allow it again further down, which the file cannot.
bool denies_setgroups_by_file(const Context& context, const AllocationRequest& request) {
    return request.type == AllocationRequest::Type::kSelf && context.level != policy::Level::kEnforce;
}

OrFault<MapFiles> open_empty_maps(const Context& context, const namespaces::UserNamespace& userns,
                                  const ParentView& parent, const AllocationRequest& request) {
    auto setgroups = denies_setgroups_by_file(context, request) ? MapFiles::Setgroups::kWillBeDenied
                                                                : MapFiles::Setgroups::kLeftAlone;
    auto files = TRY_SYSTEM(MapFiles::open(userns, parent.userns(), context.own, setgroups));
    bool empty = TRY_SYSTEM(files.uid_map()).empty() && TRY_SYSTEM(files.gid_map()).empty();
    if (!empty) return refuse_parameter(kUserNamespaceField);
    return files;
}

OrFault<void> require_foreign_ids(const AllocationRequest& request, const ParentView& parent) {
    bool good =
        !request.foreign || parent.maps_one_to_one(AllocationRequest::kForeignStart, AllocationRequest::kForeignSize);
    return good ? OrFault<void>() : refuse_parameter("mapForeign");
}

// What the maps say decides: if one of the two was taken, the ids are in use there, and the record has to stay until
// the namespace is dead. That happens only if the caller wrote a map itself at the same moment.
Refusal give_up(const MapFiles& files, Transaction transaction, const Error& error) {
    auto uids = files.uid_map();
    auto gids = files.gid_map();
    if (!uids || !gids) lifecycle::end_process(!uids ? uids.error() : gids.error());
    if (!uids->empty() || !gids->empty()) {
        log::warning("A namespace has half of its maps, and stays registered until it is dead: {}", error.what());
        if (auto kept = transaction.commit(); !kept) lifecycle::end_process(kept.error());
    }
    return refuse_system(error);
}

// No process may have the ids for a moment before the kernel policy knows of them.
OrFault<void> map(Context& context, MapFiles& files, const namespaces::Maps& maps, const RangeReservation& reservation,
                  const AllocationRequest& request, Transaction transaction) {
    TRY_SYSTEM(lifecycle::enter_policy(context, reservation.registration()));
    if (denies_setgroups_by_file(context, request)) TRY_SYSTEM(files.deny_setgroups());
    transaction.begin_mapping();
    auto written = write_maps(files, maps);
    if (!written) return give_up(files, std::move(transaction), written.error());
    TRY_SYSTEM(transaction.commit());
    return {};
}

OrFault<std::string> allocate(Context& context, varlink::Call& call) {
    auto request = TRY(AllocationRequest::read(call));
    auto userns = TRY(take_user_namespace(context, call));
    auto parent = TRY(ParentView::of(context, userns));
    auto files = TRY(open_empty_maps(context, userns, parent, request));
    TRY(require_authority(context, call, authority::kAllocateUserNamespace, "name", request.name));
    TRY(require_unregistered(context, userns));
    TRY(require_free_name(context, request.name));
    TRY(require_foreign_ids(request, parent));
    RangeReservation reservation(context, request, call.peer, userns, parent);
    auto transaction = TRY(reservation.make());
    auto maps = maps_of(reservation.registration(), request, parent);
    TRY(map(context, files, maps, reservation, request, std::move(transaction)));
    return request.name;
}

}  // namespace

std::span<const varlink::Field> allocate_user_range_fields() { return AllocationRequest::fields(); }

varlink::Outcome allocate_user_range(Context& context, varlink::Call& call) {
    auto name = allocate(context, call);
    if (!name) return std::move(name).error();
    return varlink::Reply{{{"name", *name}}, {}};
}

}  // namespace nsr::service
