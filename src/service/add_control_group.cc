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

OrFault<lifecycle::Transaction> begin(Context& context, const registry::Registration& registration, CgroupId id) {
    auto added = lifecycle::without_resources(registration);
    added.cgroups = {id};
    return begin_addition(context, lifecycle::Step::kDelegating, added,
                          [&](const registry::Registration& current, size_t begun) -> OrFault<void> {
                              bool is_added = std::ranges::find(current.cgroups, id) != current.cgroups.end();
                              if (is_added) return refuse("ControlGroupAlreadyAdded");
                              if (current.cgroups.size() + begun >= kMaxControlGroups)
                                  return refuse("TooManyControlGroups");
                              return {};
                          });
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

    auto handover = TRY_SYSTEM(cgroup.prepare_handover());
    auto transaction = TRY(begin(context, registration, cgroup.id()));
    transaction.undo_with([&]() -> Status {
        TRY(handover.take_back());
        return context.entries.remove_cgroup(cgroup.id(), registration.userns.inode);
    });
    // The policy first: whoever has the ids could otherwise be refused a directory in what is its own by then.
    TRY_SYSTEM(context.entries.add_cgroup(cgroup.id(), registration.userns.inode));
    TRY_SYSTEM(handover.give(registration.range->start, registration.range->start_gid));
    TRY_SYSTEM(transaction.commit());
    return {};
}

}  // namespace

std::span<const varlink::Field> add_control_group_fields() { return kFields; }

varlink::Outcome add_control_group(Context& context, varlink::Call& call) {
    if (auto added = add(context, call); !added) return std::move(added).error();
    return varlink::Reply{};
}

}  // namespace nsr::service
