// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <array>

#include "resources/cgroup.h"
#include "service/addition.h"
#include "service/methods.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::string_view kControlGroupField = "controlGroupFileDescriptor";
constexpr std::array<varlink::Field, 2> kFields{{
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
    {kControlGroupField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
}};

constexpr size_t kMaxControlGroups = 16;

OrFault<resources::Cgroup> take_cgroup(varlink::Call& call) {
    auto cgroup = resources::Cgroup::from_descriptor(std::move(*TRY(find_fd(call, kControlGroupField))));
    if (!cgroup && cgroup.error().code() == EREMOTEIO) return Refusal(varlink::system_error(EREMOTEIO));
    if (!cgroup) return refuse_parameter(kControlGroupField);
    return std::move(*cgroup);
}

OrFault<void> add(Context& context, varlink::Call& call) {
    auto userns = TRY(take_user_namespace(context, call));
    auto cgroup = TRY(take_cgroup(call));
    auto registration = TRY(require_registration(context, userns));
    if (!registration.range) return refuse("UserNamespaceWithoutUserRange");
    TRY(require_owner(registration, call.peer));
    // Else a user could have somebody else's cgroup given to ids of its own.
    if (call.peer.uid != Uid(0) && TRY_SYSTEM(cgroup.owner()) != call.peer.uid) return refuse_permission();
    TRY(require_authority(context, call, authority::kDelegateControlGroup, "name", registration.name));

    auto added = without_resources(registration);
    added.cgroups = {cgroup.id()};
    auto addition = TRY(Addition::record(context, std::move(added), [&](const auto& current) -> OrFault<void> {
        if (std::ranges::find(current.cgroups, cgroup.id()) != current.cgroups.end())
            return refuse("ControlGroupAlreadyAdded");
        if (current.cgroups.size() >= kMaxControlGroups) return refuse("TooManyControlGroups");
        return {};
    }));
    // The policy first: whoever has the ids could otherwise be refused a directory in what is its own by then.
    auto delegated = context.entries.add_cgroup(cgroup.id(), registration.userns.inode);
    if (delegated) delegated = cgroup.delegate(registration.range->start, registration.range->start_gid);
    if (!delegated) {
        addition.undo();
        return refuse_system(delegated.error());
    }
    return addition.done();
}

}  // namespace

std::span<const varlink::Field> add_control_group_fields() { return kFields; }

varlink::Outcome add_control_group(Context& context, varlink::Call& call) {
    if (auto added = add(context, call); !added) return std::move(added).error();
    return varlink::Reply{};
}

}  // namespace nsr::service
