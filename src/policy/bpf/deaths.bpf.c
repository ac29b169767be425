/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells when a user namespace is gone. retire_userns_sysctls() is called exactly once for each, nested ones included,
 * while its inode number is still taken, so that the mark cannot hit a successor. */
#include <linux/ptrace.h>

#include "maps.h"

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, NSR_DEATHS_BYTES);
} deaths SEC(".maps");

/* Records that found no room in the ring. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} lost SEC(".maps");

/* The service's own; see layout.h. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NSR_MISSED);
    __type(key, __u32);
    __type(value, __u64);
} missed SEC(".maps");

static __always_inline int mark_dead(__u64 userns) {
    add_beat(NSR_BEATS_OF_DEATHS);
    struct nsr_namespace* registration = registration_of(userns);
    if (!registration) return 0;
    registration->dead = 1;
    struct nsr_death death = {inode_of(userns), 0};
    if (!bpf_ringbuf_output(&deaths, &death, sizeof death, 0)) return 0;
    __u32 zero = 0;
    __u64* count = bpf_map_lookup_elem(&lost, &zero);
    if (count) __sync_fetch_and_add(count, 1);
    return 0;
}

SEC("fentry/retire_userns_sysctls")
int on_death(__u64* ctx) { return mark_dead(ctx[0]); }

/* Where the kernel has no trampolines for this architecture. */
SEC("kprobe/retire_userns_sysctls")
int BPF_KPROBE(on_death_kprobe, void* userns) { return mark_dead((__u64)userns); }

char LICENSE[] SEC("license") = "GPL";
