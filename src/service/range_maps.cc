// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/range_maps.h"

namespace nsr::service {

namespace {

using namespaces::IdMap;
using registry::Registration;

/// Of a write that failed for want of something, so that it is worth another attempt.
constexpr int kAttempts = 5;

// `inside` and `outside` are those of the first line.
IdMap map_of(const Registration& registration, const AllocationRequest& request, uint32_t inside, uint32_t outside) {
    IdMap map{{inside, outside, request.size}};
    for (const auto& delegate : registration.delegates)
        map.push_back({delegate.start.value, delegate.start.value, delegate.size});
    if (request.foreign)
        map.push_back(
            {AllocationRequest::kForeignStart, AllocationRequest::kForeignStart, AllocationRequest::kForeignSize});
    return map;
}

bool is_transient(int code) { return code == EINTR || code == EAGAIN || code == ENOMEM; }

}  // namespace

namespaces::Maps maps_of(const Registration& registration, const AllocationRequest& request, const ParentView& parent) {
    const auto& range = *registration.range;
    bool is_same_above = parent.is_own() || registration.is_transient();
    auto uid = is_same_above ? range.start : *parent.inside(range.start);
    auto gid = is_same_above ? range.start_gid : *parent.inside(range.start_gid);
    return {map_of(registration, request, range.target, uid.value),
            map_of(registration, request, range.target_gid, gid.value)};
}

OrFault<void> require_disjoint_lines(const namespaces::Maps& maps) {
    if (namespaces::has_overlap(maps.uids) || namespaces::has_overlap(maps.gids))
        return Refusal(varlink::system_error(EINVAL));
    return {};
}

// Half a map cannot be taken back: what may only be lacking for a moment is tried again.
Status write_maps(namespaces::MapFiles& files, const namespaces::Maps& maps) {
    TRY(files.write_gid_map(maps.gids));
    Status written = files.write_uid_map(maps.uids);
    for (int i = 1; i < kAttempts && !written && is_transient(written.error().code()); ++i)
        written = files.write_uid_map(maps.uids);
    return written;
}

}  // namespace nsr::service
