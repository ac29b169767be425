// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/descriptor_shares.h"

#include <sys/resource.h>
#include <algorithm>

namespace nsr::manager {

namespace {

/// Descriptors that are neither connections nor pins: workers (three each), those that the kernel holds, processes that
/// close, parcels, what waits to be closed, the registry, the loop.
constexpr size_t kReserved = 1024;
/// Of those, what it needs to serve any client: some twenty of its own, the fewest workers, two processes that
/// close.
constexpr size_t kLeastReserved = 48;
constexpr size_t kMaxPins = 4096;
/// One descriptor in so many may be a pin.
constexpr size_t kPinPart = 8;
constexpr size_t kLeastConnections = 4;

}  // namespace

DescriptorShares DescriptorShares::of_limit(size_t limit) {
    size_t pins = std::min(limit / kPinPart, kMaxPins);
    auto beyond = [&](size_t reserved) { return limit > pins + reserved ? limit - pins - reserved : 0; };
    size_t connections = std::max(std::min(limit / 2, beyond(kLeastReserved)), beyond(kReserved));
    return {std::max(connections, kLeastConnections), pins};
}

Result<DescriptorShares> share_descriptors() {
    struct rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    return DescriptorShares::of_limit(limit.rlim_cur);
}

}  // namespace nsr::manager
