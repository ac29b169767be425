// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <span>

#include "service/context.h"
#include "varlink/server.h"

/// The methods, a file each: which parameters they have, and what they do (interface.md sections 2 and 3).
namespace nsr::service {

std::span<const varlink::Field> allocate_user_range_fields();
varlink::Outcome allocate_user_range(Context& context, varlink::Call& call);

std::span<const varlink::Field> register_user_namespace_fields();
varlink::Outcome register_user_namespace(Context& context, varlink::Call& call);

std::span<const varlink::Field> add_mount_fields();
varlink::Outcome add_mount(Context& context, varlink::Call& call);

std::span<const varlink::Field> add_control_group_fields();
varlink::Outcome add_control_group(Context& context, varlink::Call& call);

std::span<const varlink::Field> add_network_fields();
varlink::Outcome add_network(Context& context, varlink::Call& call);

std::span<const varlink::Field> get_user_record_fields();
varlink::Outcome get_user_record(Context& context, varlink::Call& call);

std::span<const varlink::Field> get_group_record_fields();
varlink::Outcome get_group_record(Context& context, varlink::Call& call);

std::span<const varlink::Field> get_memberships_fields();
varlink::Outcome get_memberships(Context& context, varlink::Call& call);

/// Adds all of them, with their interfaces.
void add_methods(varlink::Server& server, Context& context);

}  // namespace nsr::service
