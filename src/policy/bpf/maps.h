/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "../layout.h"
#include "kernel.h"

/* Filled by the service before a namespace gets its maps, emptied when it is dead; see layout.h. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, NSR_MAX_NAMESPACES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct nsr_namespace);
} namespaces SEC(".maps");

/* See layout.h. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NSR_BEATS);
    __type(key, __u32);
    __type(value, __u64);
} beats SEC(".maps");

static __always_inline void add_beat(__u32 of) {
    __u64* count = bpf_map_lookup_elem(&beats, &of);
    if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline __u64 id_of(__u64 userns) {
    struct ns_common___with_id* common = (void*)__builtin_preserve_access_index(&USERNS(userns)->ns);
    return bpf_core_field_exists(common->ns_id) ? BPF_CORE_READ(common, ns_id) : 0;
}

static __always_inline __u32 inode_of(__u64 userns) { return BPF_CORE_READ(USERNS(userns), ns.inum); }

/* The registration of a namespace, if it has one. A dead one's restricts nobody: its inode number may be another's by
 * now. */
static __always_inline struct nsr_namespace* registration_of(__u64 userns) {
    __u32 inode = inode_of(userns);
    struct nsr_namespace* found = bpf_map_lookup_elem(&namespaces, &inode);
    if (!found || found->dead) return NULL;
    __u64 id = id_of(userns);
    return id && found->id && id != found->id ? NULL : found;
}
