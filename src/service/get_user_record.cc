// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "service/methods.h"
#include "service/user_names.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::array<varlink::Field, 8> kFields{{
    {"uid", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"userName", Kind::kString, Presence::kOptional},
    {"fuzzyNames", Kind::kStrings, Presence::kOptional},
    {"dispositionMask", Kind::kStrings, Presence::kOptional},
    {"uidMin", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"uidMax", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {"uuid", Kind::kString, Presence::kOptional},
    {"service", Kind::kString},
}};
constexpr std::array<std::string_view, 5> kUnsupported{"fuzzyNames", "dispositionMask", "uidMin", "uidMax", "uuid"};

constexpr int kNobodyGroup = 65534;

OrFault<varlink::json::object> find(Context& context, const varlink::Call& call) {
    LookUp look_up = TRY(read_look_up(call, "uid", "userName", kUnsupported));
    Member member = TRY(find_member(context, look_up, Database::kUsers));
    return varlink::json::object{{"userName", member_name(member)},
                                 {"uid", member.registration.range->start.value + member.offset},
                                 {"gid", kNobodyGroup},
                                 {"realName", description(member, "User")},
                                 {"homeDirectory", "/"},
                                 {"shell", "/usr/sbin/nologin"},
                                 {"locked", true},
                                 {"service", kServiceName},
                                 {"disposition", disposition(member)}};
}

}  // namespace

std::span<const varlink::Field> get_user_record_fields() { return kFields; }

varlink::Outcome get_user_record(Context& context, varlink::Call& call) {
    auto record = find(context, call);
    if (!record) return std::move(record).error();
    return varlink::Reply{{{"record", std::move(*record)}}, {}};
}

}  // namespace nsr::service
