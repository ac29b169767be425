// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include "service/methods.h"
#include "service/user_names.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::array<varlink::Field, 3> kFields{{
    {"userName", Kind::kString, Presence::kOptional},
    {"groupName", Kind::kString, Presence::kOptional},
    {"service", Kind::kString},
}};

OrFault<void> check(const varlink::Call& call) {
    for (std::string_view field : {"userName", "groupName"}) {
        auto name = call.parameters.string(field);
        if (name && !is_possible_user_name(*name)) return refuse_parameter(field);
    }
    if (*call.parameters.string("service") != kServiceName) return refuse_look_up("BadService");
    return {};
}

}  // namespace

std::span<const varlink::Field> get_memberships_fields() { return kFields; }

// Users of a range are members of no group: the answer to every good question is that there is no record.
varlink::Outcome get_memberships(Context&, varlink::Call& call) {
    if (auto good = check(call); !good) return std::move(good).error();
    return refuse_look_up("NoRecordFound").error();
}

}  // namespace nsr::service
