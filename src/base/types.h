// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include <fmt/format.h>

namespace nsr {

/// An integer with a meaning of its own, so that a uid cannot be passed where a gid or an inode number is asked for.
template <class Tag, class Value>
struct Strong {
    using value_type = Value;
    Value value{};

    constexpr Strong() = default;
    explicit constexpr Strong(Value v) : value(v) {}
    constexpr auto operator<=>(const Strong&) const = default;
};

using Uid = Strong<struct UidTag, uint32_t>;
/// No process can have it, and so no user.
inline constexpr Uid kNoUser{UINT32_MAX};
using Gid = Strong<struct GidTag, uint32_t>;
/// Inode number of a namespace on nsfs.
using NsInode = Strong<struct NsInodeTag, uint64_t>;
/// The kernel's 64-bit id of a namespace (NS_GET_ID, Linux 6.18), never used twice in a boot; 0: the kernel has none.
using NsId = Strong<struct NsIdTag, uint64_t>;
/// Id of a cgroup: the inode number of its directory.
using CgroupId = Strong<struct CgroupIdTag, uint64_t>;

/// What tells one user namespace from all others (interface.md section 2, common rules).
struct NsIdentity {
    NsInode inode;
    NsId id;
    constexpr bool operator==(const NsIdentity&) const = default;
};

constexpr bool is_valid_id(uint64_t id) { return id < 0xFFFFFFFFu && id != 0xFFFFu; }

}  // namespace nsr

template <class Tag, class Value>
struct std::hash<nsr::Strong<Tag, Value>> {
    size_t operator()(const nsr::Strong<Tag, Value>& s) const noexcept { return std::hash<Value>{}(s.value); }
};

template <class Tag, class Value>
struct fmt::formatter<nsr::Strong<Tag, Value>> : fmt::formatter<Value> {
    template <class Context>
    auto format(const nsr::Strong<Tag, Value>& s, Context& context) const {
        return fmt::formatter<Value>::format(s.value, context);
    }
};
