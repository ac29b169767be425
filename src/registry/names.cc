// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/names.h"

#include <xxhash.h>
#include <algorithm>

namespace nsr::registry {

bool is_valid_name(std::string_view name) {
    auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= kMaxNameLength && std::ranges::all_of(name, allowed);
}

Result<std::string> final_name(std::string_view requested, Uid owner, Mangle mangle, uint64_t connection_id) {
    std::string prefix = owner == Uid(0) ? "" : fmt::format("{}-", owner);
    std::string name = prefix + std::string(requested);
    if (is_valid_name(name)) return name;
    if (mangle == Mangle::kNo) return fail(EINVAL, "not a name that a registration can have");
    name.resize(std::min(name.size(), kMaxNameLength));
    if (is_valid_name(name)) return name;
    uint64_t hash = XXH3_64bits_withSeed(requested.data(), requested.size(), connection_id);
    return prefix + fmt::format("{:016x}", hash).substr(0, kMaxNameLength - prefix.size());
}

}  // namespace nsr::registry
