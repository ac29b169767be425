// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "resources/mount.h"
#include "service/methods.h"
#include "service/request.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::string_view kMountField = "mountFileDescriptor";
constexpr std::array<varlink::Field, 2> kFields{{
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
    {kMountField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
}};

OrFault<void> add(Context& context, varlink::Call& call) {
    if (call.peer.uid != Uid(0)) return refuse_permission();
    auto userns = TRY(take_user_namespace(context, call));
    auto mount = resources::Mount::from_descriptor(std::move(*TRY(find_fd(call, kMountField))));
    if (!mount) return Refusal(varlink::system_error(mount.error().code()));
    auto registration = TRY(require_registration(context, userns));
    TRY(require_authority(context, call, authority::kDelegateMount, "name", registration.name));
    // Where a pin would keep the namespace alive the mount is left to whoever has it.
    if (auto pin = TRY_SYSTEM(mount->pin())) TRY_SYSTEM(context.keep_mount(userns.identity(), std::move(*pin)));
    return {};
}

}  // namespace

std::span<const varlink::Field> add_mount_fields() { return kFields; }

varlink::Outcome add_mount(Context& context, varlink::Call& call) {
    if (auto added = add(context, call); !added) return std::move(added).error();
    return varlink::Reply{};
}

}  // namespace nsr::service
