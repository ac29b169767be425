// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/allocation_request.h"

#include <array>

#include "service/request.h"

namespace nsr::service {

namespace {

using varlink::Kind;
using varlink::Presence;

constexpr std::array<std::string_view, 2> kTypes{"managed", "self"};
constexpr std::array<varlink::Field, 8> kFields{{
    {"name", Kind::kString},
    {"mangleName", Kind::kBool, Presence::kOptional},
    {"size", Kind::kInt, Presence::kMandatory, varlink::kAnySize},
    {"target", Kind::kInt, Presence::kOptional, varlink::kIdBounds},
    {kUserNamespaceField, Kind::kInt, Presence::kMandatory, varlink::kUint32Bounds},
    {"type", Kind::kString, Presence::kOptional, {}, kTypes},
    {"delegateContainerRanges", Kind::kInt, Presence::kOptional, varlink::kUint32Bounds},
    {"mapForeign", Kind::kBool, Presence::kOptional},
}};

/// target + size may not reach beyond the last id.
constexpr int64_t kTargetEnd = 4294967295;

}  // namespace

std::span<const varlink::Field> AllocationRequest::fields() { return kFields; }

OrFault<AllocationRequest> AllocationRequest::read(const varlink::Call& call) {
    const auto& parameters = call.parameters;
    AllocationRequest request;
    request.name = TRY(take_name(call));
    request.type = parameters.string("type").value_or("managed") == "self" ? Type::kSelf : Type::kManaged;
    int64_t size = *parameters.integer("size");
    bool known_size = size == 1 || (size == 65536 && request.type == Type::kManaged);
    if (!known_size) return refuse_parameter("size");
    request.size = static_cast<uint32_t>(size);
    if (auto target = parameters.integer("target")) {
        bool fits = request.type == Type::kSelf ? *target == 0 : *target + size <= kTargetEnd;
        if (!fits) return refuse_parameter("target");
        request.target = static_cast<uint32_t>(*target);
    }
    int64_t delegations = parameters.integer("delegateContainerRanges").value_or(0);
    if (delegations > kMaxDelegations) return refuse("TooManyDelegations");
    request.delegations = static_cast<uint32_t>(delegations);
    request.foreign = parameters.boolean("mapForeign").value_or(false);
    return request;
}

}  // namespace nsr::service
