// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string_view>

#include "service/context.h"
#include "service/fault.h"

/// Users and groups of live ranges, as io.systemd.UserDatabase speaks of them (interface.md section 3).
namespace nsr::service {

inline constexpr std::string_view kServiceName = "io.systemd.NamespaceResource";

/// Whether a user or group could be called so at all; if not, the name is an invalid parameter.
bool is_possible_user_name(std::string_view name);

/// `ns-<registration>-<offset>`
struct MemberName {
    std::string_view registration;
    uint32_t offset;
};
std::optional<MemberName> parse_member_name(std::string_view name);

/// An error of io.systemd.UserDatabase.
Refusal refuse_look_up(std::string_view error);

/// What GetUserRecord and GetGroupRecord ask: uid and userName, or gid and groupName.
struct LookUp {
    std::optional<uint32_t> id;
    std::optional<std::string_view> name;
};

/// Reads it from a call, complaining about filters that are not supported and about another service's name.
OrFault<LookUp> read_look_up(const varlink::Call& call, std::string_view id_field, std::string_view name_field,
                             std::span<const std::string_view> unsupported);

/// The member of a live range that a look-up finds.
struct Member {
    registry::Registration registration;
    uint32_t offset;
};
enum class Database { kUsers, kGroups };
OrFault<Member> find_member(Context& context, const LookUp& look_up, Database database);

/// `container` or `dynamic`.
std::string_view disposition(const Member& member);
/// `ns-<name>-<offset>`
std::string member_name(const Member& member);
/// "<kind> <offset> of Allocated Namespace <name>"
std::string description(const Member& member, std::string_view kind);

}  // namespace nsr::service
