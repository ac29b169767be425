// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/methods.h"

#include "service/fault.h"
#include "varlink/descriptions.h"

namespace nsr::service {

namespace {

constexpr std::string_view kNamespaceResource = "io.systemd.NamespaceResource";
constexpr std::string_view kUserDatabase = "io.systemd.UserDatabase";

struct Entry {
    std::string_view name;
    std::span<const varlink::Field> (*fields)();
    varlink::Outcome (*handler)(Context&, varlink::Call&);
};

constexpr Entry kMethods[] = {
    {"io.systemd.NamespaceResource.AllocateUserRange", allocate_user_range_fields, allocate_user_range},
    {"io.systemd.NamespaceResource.RegisterUserNamespace", register_user_namespace_fields, register_user_namespace},
    {"io.systemd.NamespaceResource.AddMountToUserNamespace", add_mount_fields, add_mount},
    {"io.systemd.NamespaceResource.AddControlGroupToUserNamespace", add_control_group_fields, add_control_group},
    {"io.systemd.NamespaceResource.AddNetworkToUserNamespace", add_network_fields, add_network},
    {"io.systemd.UserDatabase.GetUserRecord", get_user_record_fields, get_user_record},
    {"io.systemd.UserDatabase.GetGroupRecord", get_group_record_fields, get_group_record},
    {"io.systemd.UserDatabase.GetMemberships", get_memberships_fields, get_memberships},
};

}  // namespace

void add_methods(varlink::Server& server, Context& context) {
    server.add_interface(kNamespaceResource, varlink::description(kNamespaceResource),
                         [level = context.level]() -> std::optional<varlink::Fault> {
                             if (level != policy::Level::kRefuse) return std::nullopt;
                             return refuse("UserNamespaceInterfaceNotSupported").error();
                         });
    server.add_interface(kUserDatabase, varlink::description(kUserDatabase));
    for (const auto& method : kMethods)
        server.add_method(method.name, method.fields(),
                          [&context, &method](varlink::Call& call) { return method.handler(context, call); });
}

}  // namespace nsr::service
