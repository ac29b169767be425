// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/delegation.h"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>

#include "registry/json_text.h"
#include "registry/registration.h"

namespace nsr::registry {

namespace json = boost::json;

namespace {

constexpr Bounds kAnyInode{1, UINT64_MAX};
constexpr Bounds kAnyId{0, 0xFFFFFFFEu};
// As deep as user namespaces can be nested (create_user_ns() in the kernel).
constexpr size_t kMaxAncestors = 33;

}  // namespace

Result<Delegation> parse_delegation(std::string_view text) {
    if (text.size() > kMaxFileSize) return fail(EBADMSG, "larger than {} bytes", kMaxFileSize);
    alignas(std::max_align_t) unsigned char buffer[2048];
    json::monotonic_resource memory(buffer, sizeof buffer);
    json::object object = TRY(parse_object(text, &memory));

    Delegation delegation;
    delegation.userns = NsInode(TRY(read_number(object, "userns", kAnyInode)));
    delegation.start = Uid(static_cast<uint32_t>(TRY(read_number(object, "start", kAnyId))));
    delegation.start_gid =
        Gid(static_cast<uint32_t>(TRY(read_number_or(object, "startGid", kAnyId, delegation.start.value))));
    delegation.size = static_cast<uint32_t>(TRY(read_number(object, "size", {65536, 65536})));
    if (!is_pool_range(delegation.start.value, delegation.size) || delegation.start_gid.value != delegation.start.value)
        return fail(EBADMSG, "the range is not one of the pool");
    const json::array* ancestors = TRY(read_list(object, "ancestorUserns", kMaxAncestors));
    if (!ancestors) return delegation;
    for (const auto& element : *ancestors)
        delegation.ancestors.emplace_back(TRY(to_number(element, "ancestorUserns", kAnyInode)));
    return delegation;
}

std::string format_delegation(const Delegation& delegation) {
    json::object object;
    object["userns"] = delegation.userns.value;
    object["start"] = delegation.start.value;
    object["startGid"] = delegation.start_gid.value;
    object["size"] = delegation.size;
    if (!delegation.ancestors.empty()) {
        json::array& list = object["ancestorUserns"].emplace_array();
        for (NsInode ancestor : delegation.ancestors) list.emplace_back(ancestor.value);
    }
    return json::serialize(object) + "\n";
}

}  // namespace nsr::registry
