// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <linux/bpf.h>
#include <string>

#include "base/fd.h"
#include "base/result.h"

/// bpf(2), as far as maps and pins go; whoever only has the descriptors of maps needs no library for them, and no
/// capability. Keys and values must have the size that the map was made with.
namespace nsr::policy {

enum class Lookup { kFound, kAbsent };
Result<Lookup> map_lookup(BorrowedFd map, const void* key, void* value);
/// E2BIG: the map is full.
Status map_update(BorrowedFd map, const void* key, const void* value);
/// No error where there is nothing.
Status map_delete(BorrowedFd map, const void* key);
/// The key after `key`, or the first one for a null pointer or a key that is not there. kAbsent: that was the last.
Result<Lookup> map_next_key(BorrowedFd map, const void* key, void* next);

/// A map or link that is pinned at `path`.
Result<UniqueFd> open_pin(const std::string& path);
Status pin(BorrowedFd object, const std::string& path);

/// What the kernel knows of a map, program or link (bpf_map_info, bpf_prog_info, bpf_link_info).
Status object_info(BorrowedFd object, void* info, size_t size);
template <class Info>
Result<Info> object_info(BorrowedFd object) {
    Info info{};
    TRY(object_info(object, &info, sizeof info));
    return info;
}
Result<UniqueFd> program_by_id(uint32_t id);
Result<UniqueFd> map_by_id(uint32_t id);

}  // namespace nsr::policy
