// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "child.h"

namespace nsr::channels {

/// The first of the ids that `mapForeign` maps.
constexpr uint32_t kForeign = 2147352576;
constexpr uint32_t kRangeSize = 65536;

/// Is it an id that is handed out again, from either pool?
constexpr bool is_transient(uint64_t id) { return (id >= 61184 && id <= 65519) || (id >= 524288 && id <= 1879048191); }

/// A user namespace that is kept alive by a descriptor.
struct Space {
    UniqueFd fd;
    /// What its first id is outside.
    uint32_t start = 0;
    /// The first delegated range, which is the same inside and outside; 0: none.
    uint32_t delegated = 0;
};

constexpr int kTries = 200;

/// A call of AllocateUserRange, by this uid and gid, from the inside of `parent` if there is one.
struct Order {
    uint32_t uid = 1000;
    const Space* parent = nullptr;
    uint32_t size = kRangeSize;
    bool self = false;
    int delegates = 0;
    bool foreign = false;
    /// How often a namespace may have an inode number that the service believes to be taken, by one that is dead:
    /// without the policy nothing tells it on older kernels.
    int tries = kTries;
};
Result<Space> allocate(const std::string& socket, const Order& order);

struct Extent {
    uint32_t inside, outside, count;
};
using Map = std::vector<Extent>;

/// A user namespace with these maps, below `parent` (nullptr: the one of this process) and unknown to the service.
Result<Space> unmanaged(const Map& uids, const Map& gids, const Space* parent = nullptr);

/// One more call of the service about a namespace, by root.
Status call_as_root(const std::string& socket, const std::string& method, const Space& space,
                    const std::string& parameter, UniqueFd fd);
/// A namespace with these maps that root has registered. For the number of its inode see Order::tries.
Result<Space> registered(const std::string& socket, const Map& uids, const Map& gids);

/// Whom a body runs as.
struct As {
    /// As the namespace sees them.
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups{};
    /// In mount and IPC namespaces of its own?
    bool mounts = false, ipc = false;
    /// Capabilities are given up with uid 0, unless they are kept.
    bool capable = false;
};

/// Goes into the namespace, for good.
int enter(const Space& space, const As& as);
/// Does it in a child in the namespace; its answer.
int inside(const Space& space, const As& as, const Body& body);

}  // namespace nsr::channels
