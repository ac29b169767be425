// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "service/methods.h"
#include "service/user_names.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::array<varlink::Field, 8> kFields{{
    {"gid", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"groupName", Kind::kString, Presence::kOptional},
    {"fuzzyNames", Kind::kStrings, Presence::kOptional},
    {"dispositionMask", Kind::kStrings, Presence::kOptional},
    {"gidMin", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"gidMax", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"uuid", Kind::kString, Presence::kOptional},
    {"service", Kind::kString},
}};
constexpr std::array<std::string_view, 5> kUnsupported{"fuzzyNames", "dispositionMask", "gidMin", "gidMax", "uuid"};

OrFault<varlink::json::object> find(Context& context, const varlink::Call& call) {
    LookUp look_up = TRY(read_look_up(call, "gid", "groupName", kUnsupported));
    Member member = TRY(find_member(context, look_up, Database::kGroups));
    return varlink::json::object{{"groupName", member_name(member)},
                                 {"gid", member.registration.range->start_gid.value + member.offset},
                                 {"description", description(member, "Group")},
                                 {"service", kServiceName},
                                 {"disposition", disposition(member)}};
}

}  // namespace

std::span<const varlink::Field> get_group_record_fields() { return kFields; }

varlink::Outcome get_group_record(Context& context, varlink::Call& call) {
    auto record = find(context, call);
    if (!record) return std::move(record).error();
    return varlink::Reply{{{"record", std::move(*record)}}, {}};
}

}  // namespace nsr::service
