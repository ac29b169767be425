// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "namespaces/map_files.h"
#include "service/accounts.h"
#include "service/methods.h"
#include "service/policy_entries.h"
#include "service/release.h"
#include "service/request.h"

namespace nsr::service {

namespace {

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
    {
        auto lock = TRY_SYSTEM(context.store.lock());
        TRY(require_unclaimed(context, lock, registration));
        TRY_SYSTEM(enter_registry(context, lock, registration, Origin::kPool));
    }
    if (auto entered = enter_policy(context, registration); !entered) {
        auto removed = remove(context, registration);
        if (removed) removed = context.store.drop_pending(context.writer);
        if (!removed) end_worker(removed.error());
        return refuse_system(entered.error());
    }
    context.announce(userns.identity(), registration.owner);
    TRY_SYSTEM(context.store.commit(context.writer));
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
