// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "base/types.h"

/// The records on disk (interface.md section 4): their format, lock, links and recovery.
namespace nsr::registry {

/// The ids that a namespace got: `size` uids from `start` (outside) mapped to `target` (inside), gids likewise.
struct TransientRange {
    uint32_t size = 0;
    Uid start;
    uint32_t target = 0;
    Gid start_gid;
    uint32_t target_gid = 0;
    bool operator==(const TransientRange&) const = default;
};

/// One further range of 65536 ids that was handed out along with the registration, as it was then.
struct Delegate {
    NsInode userns;
    Uid start;
    Gid start_gid;
    uint32_t size = 0;
    bool operator==(const Delegate&) const = default;
};

/// The content of `i<inode>.userns`.
struct Registration {
    enum class Setgroups { kAllowed, kDenied };

    Uid owner;
    std::string name;
    NsIdentity userns;
    std::optional<TransientRange> range;
    Setgroups setgroups = Setgroups::kAllowed;
    std::vector<CgroupId> cgroups;
    std::vector<std::string> network_interfaces;
    std::vector<Delegate> delegates;
    /// What another version wrote and this one does not know; written back as it was.
    boost::json::object unknown_fields;

    /// Whether the range is one of the pools, not the caller's own id of `type: self`. Only such ranges are exclusive,
    /// have the links u<start> and g<start>, and have user records by id.
    bool is_transient() const;
    /// The first ids of all ranges of the pools that it holds: its own, and those handed to it to be handed on.
    std::vector<Uid> starts() const;
    bool operator==(const Registration&) const = default;
};

/// The record of a dead namespace that gave up its inode number and its name, while its ranges are not free yet
/// (Store::set_aside()). The kernel gives no inode number of a namespace that needs more than 32 bits.
constexpr bool is_set_aside(const NsIdentity& userns) { return userns.inode.value > UINT32_MAX; }

/// No entry may have more cgroups, interfaces or delegates than this, each.
inline constexpr size_t kMaxListLength = 64;
/// No file of the registry may be larger, in bytes.
inline constexpr size_t kMaxFileSize = 256 * 1024;

/// Whether `size` ids from `start` are one whole range of one of the two pools.
bool is_pool_range(uint32_t start, uint32_t size);

/// Reads hostile text; anything that is not to the letter of interface.md section 4 is EBADMSG.
Result<Registration> parse_registration(std::string_view text);
/// One line of JSON.
std::string format_registration(const Registration& registration);

}  // namespace nsr::registry
