// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/pinned_set.h"

#include <cstring>
#include <vector>

#include "policy/bpf_call.h"

namespace nsr::policy {

namespace {

constexpr uint32_t kMaxMaps = 64;

// The kernel keeps the first 15 bytes of a name.
bool is_name(const char (&kept)[BPF_OBJ_NAME_LEN], const char* name) {
    return strncmp(kept, name, BPF_OBJ_NAME_LEN - 1) == 0;
}

Status require_maps(BorrowedFd program, const MapSet& maps) {
    std::vector<uint32_t> ids(kMaxMaps);
    bpf_prog_info info{};
    info.nr_map_ids = kMaxMaps;
    info.map_ids = reinterpret_cast<uint64_t>(ids.data());
    TRY(object_info(program, &info, sizeof info));
    ids.resize(std::min(info.nr_map_ids, kMaxMaps));
    for (uint32_t id : ids) {
        UniqueFd used = TRY(map_by_id(id));
        auto used_info = TRY(object_info<bpf_map_info>(used.borrow()));
        auto ours = maps.find(used_info.name);
        if (ours == maps.end()) continue;
        auto our_info = TRY(object_info<bpf_map_info>(ours->second.borrow()));
        if (our_info.id != id) return fail(EBADF, "it uses another map {}", used_info.name);
    }
    return {};
}

Status require_target(const bpf_link_info& link, const bpf_program* program, uint32_t target) {
    if (target == 0) {
        if (link.type != BPF_LINK_TYPE_PERF_EVENT) return fail(EBADF, "it is no probe");
        return {};
    }
    bool good = link.type == BPF_LINK_TYPE_TRACING && link.tracing.target_btf_id == target &&
                link.tracing.attach_type == static_cast<uint32_t>(bpf_program__expected_attach_type(program));
    if (!good) return fail(EBADF, "it is attached to something else");
    return {};
}

}  // namespace

Status require_map_like(BorrowedFd map, const bpf_map* definition) {
    auto info = TRY(object_info<bpf_map_info>(map));
    bool good = info.type == static_cast<uint32_t>(bpf_map__type(definition)) &&
                info.key_size == bpf_map__key_size(definition) && info.value_size == bpf_map__value_size(definition) &&
                info.max_entries == bpf_map__max_entries(definition) &&
                info.map_flags == bpf_map__map_flags(definition) && is_name(info.name, bpf_map__name(definition));
    if (!good) return fail(EBADF, "it is another kind of map");
    return {};
}

Status require_link_like(BorrowedFd link, const bpf_program* program, uint32_t target, const MapSet& maps) {
    auto info = TRY(object_info<bpf_link_info>(link));
    TRY(require_target(info, program, target));
    UniqueFd attached = TRY(program_by_id(info.prog_id));
    auto attached_info = TRY(object_info<bpf_prog_info>(attached.borrow()));
    if (!is_name(attached_info.name, bpf_program__name(program))) return fail(EBADF, "it is another program");
    return require_maps(attached.borrow(), maps);
}

}  // namespace nsr::policy
