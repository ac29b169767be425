// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "lifecycle/policy_entries.h"
#include "lifecycle/transaction.h"
#include "namespaces/map_files.h"
#include "service/methods.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using lifecycle::Transaction;
using varlink::Kind;
using varlink::Presence;

constexpr std::array<varlink::Field, 3> kFields{{
    {"name", Kind::kString},
    {"mangleName", Kind::kBool, Presence::kOptional},
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
}};

// Only a namespace whose first id is the caller's own: nobody may put a name on ids that are somebody else's.
OrFault<void> require_own_maps(const namespaces::UserNamespace& userns, const varlink::Peer& peer) {
    auto maps = TRY_SYSTEM(namespaces::read_maps(userns));
    bool good = !maps.uids.empty() && maps.uids == maps.gids && maps.uids.front().outside == peer.uid.value &&
                maps.uids.front().outside == peer.gid.value;
    bool one_id = good && maps.uids.size() == 1 && maps.uids.front().count == 1;
    if (!good || (!one_id && maps.uids.front().inside != 0)) return refuse_parameter(kUserNamespaceField);
    return {};
}

OrFault<std::optional<Transaction>> record(Context& context, const registry::Registration& registration) {
    auto lock = TRY_SYSTEM(context.store.lock());
    TRY(require_unclaimed(context, lock, registration));
    auto begun = Transaction::begin_registration(context, lock, lifecycle::Step::kRegistering, registration,
                                                 lifecycle::Origin::kPool);
    if (!begun && begun.error().code() == EBUSY) return std::nullopt;
    return TRY_SYSTEM(std::move(begun));
}

OrFault<std::string> register_namespace(Context& context, varlink::Call& call) {
    registry::Registration registration;
    registration.name = TRY(take_name(call));
    auto userns = TRY(take_user_namespace(context, call));
    if (!userns.parent()) return refuse_parameter(kUserNamespaceField);
    TRY(require_own_maps(userns, call.peer));
    TRY(require_unregistered(context, userns));
    TRY(require_free_name(context, registration.name));
    TRY(require_name_unknown_to_host(context, registration.name));
    TRY(require_authority(context, call, authority::kRegisterUserNamespace, "name", registration.name));
    registration.owner = call.peer.uid;
    registration.userns = userns.identity();
    TRY(require_room(context, registration.owner));
    auto transaction =
        TRY(begin_settled(context, registration.userns.inode, [&] { return record(context, registration); }));
    TRY_SYSTEM(lifecycle::enter_policy(context, registration));
    TRY_SYSTEM(transaction.commit());
    return registration.name;
}

}  // namespace

std::span<const varlink::Field> register_user_namespace_fields() { return kFields; }

varlink::Outcome register_user_namespace(Context& context, varlink::Call& call) {
    auto name = register_namespace(context, call);
    if (!name) return std::move(name).error();
    return varlink::Reply{{{"name", *name}}, {}};
}

}  // namespace nsr::service
