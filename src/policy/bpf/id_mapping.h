/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Id-mapped mounts (mount_setattr(2)): which id is recorded for one that a task has. */
#pragma once

#include "judge.h"

#define INVALID_ID ((__u32) - 1)
#define MAX_UNSORTED_EXTENTS 5
/* Enough for a binary search among the 340 extents that a map may have. */
#define MAX_STEPS 10

/* An id through a map of the kernel: upwards from what it says outside to what it says inside, as from_kuid() does, or
 * down. Up to five extents are an unsorted array in place, more of them two sorted ones. */
__noinline __u32 map_id(__u64 map_number, __u32 id, __u32 upwards) {
    struct uid_gid_map* map = (void*)map_number;
    __u32 count = BPF_CORE_READ(map, nr_extents), low = 0, high = count;
    bool sorted = count > MAX_UNSORTED_EXTENTS;
    __u64 extents = (__u64)__builtin_preserve_access_index(&map->extent[0]);
    if (sorted) extents = upwards ? (__u64)BPF_CORE_READ(map, reverse) : (__u64)BPF_CORE_READ(map, forward);
    for (int step = 0; step < MAX_STEPS && low < high; step++) {
        __u32 middle = sorted ? (low + high) / 2 : low;
        struct uid_gid_extent extent;
        if (bpf_probe_read_kernel(&extent, sizeof extent, (void*)(extents + middle * sizeof extent))) break;
        __u32 from = upwards ? extent.lower_first : extent.first;
        __u32 to = upwards ? extent.first : extent.lower_first;
        if (id - from < extent.count) return id - from + to;
        if (sorted && id < from)
            high = middle;
        else
            low = middle + 1;
    }
    return INVALID_ID;
}

enum id_kind { UID, GID };

static __always_inline __u64 map_of(__u64 userns, enum id_kind kind) {
    return kind == UID ? (__u64)__builtin_preserve_access_index(&USERNS(userns)->uid_map)
                       : (__u64)__builtin_preserve_access_index(&USERNS(userns)->gid_map);
}

/* The user namespace whose maps a mount takes its mapping from, up to Linux 6.8; the one of the file system itself, or
 * the initial one, changes nothing. 0: none. */
static __always_inline __u64 mapping_userns(__u64 userns, __u64 filesystem) {
    return BPF_CORE_READ(USERNS(userns), level) && userns != filesystem ? userns : 0;
}

/* What is recorded for an id, by a mount with this mapping (0: none), on a file system of this user namespace. */
__noinline __u32 recorded_id(__u64 mapping, __u64 filesystem, __u32 id, __u32 kind) {
    struct vfsmount___with_userns* old_mount = NULL;
    struct mnt_idmap* idmap = (void*)mapping;
    __u64 map = 0;
    if (!mapping) return id;
    if (bpf_core_field_exists(old_mount->mnt_userns)) {
        __u64 userns = mapping_userns(mapping, filesystem);
        if (userns) map = map_of(userns, kind);
    } else if (bpf_core_field_exists(idmap->uid_map)) {
        map = kind == UID ? (__u64)__builtin_preserve_access_index(&idmap->uid_map)
                          : (__u64)__builtin_preserve_access_index(&idmap->gid_map);
    } else {
        __u64 userns = (__u64)BPF_CORE_READ((struct mnt_idmap___with_owner*)mapping, owner);
        userns = mapping_userns(userns, filesystem);
        if (userns) map = map_of(userns, kind);
    }
    /* The mapping of a mount that has none has no extents. */
    if (!map || !BPF_CORE_READ((struct uid_gid_map*)map, nr_extents)) return id;
    id = map_id(map, id, 1);
    if (id == INVALID_ID || !BPF_CORE_READ(USERNS(filesystem), level)) return id;
    return map_id(map_of(filesystem, kind), id, 0);
}

static __always_inline __u64 mapping_of(struct vfsmount* mount) {
    struct vfsmount___with_userns* old = (void*)mount;
    if (bpf_core_field_exists(old->mnt_userns)) return (__u64)BPF_CORE_READ(old, mnt_userns);
    return (__u64)BPF_CORE_READ(mount, mnt_idmap);
}

/* The hook that judges a new inode is not told of the mount; the one that runs before it is. */
static __always_inline void note_mapping(__u64 mapping, __u64 dir) {
    if (!is_in_user_namespace(current_cred())) return;
    struct notes* notes = own_notes();
    if (!notes) return;
    notes->dir = dir;
    notes->id_mapping = mapping;
}
