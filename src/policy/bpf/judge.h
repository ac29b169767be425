/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rule: an id that is handed out again later may be recorded only on what is gone by then. */
#pragma once

#include "maps.h"

#define EPERM 1
/* The kernel allows 32 user namespaces in each other, and the initial one is above them. */
#define MAX_NESTED 34
/* Cgroups below a delegated one are looked for so many levels up. */
#define MAX_CGROUP_DEPTH 64

#define SB_NOUSER (1UL << 31)
#define CGROUP2_MAGIC 0x63677270
#define SOCKFS_MAGIC 0x534f434b

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, NSR_MAX_OWNERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, __u32);
} owners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, NSR_MAX_CGROUPS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct nsr_cgroup);
    __type(value, __u32);
} cgroups SEC(".maps");

/* What a program answers: the verifier wants to see that it is nothing else, and the compiler would compute it. */
static __always_inline int verdict(int refused) {
    long no = -EPERM;
    asm volatile("" : "+r"(no));
    if (refused) return no;
    return 0;
}

/* What one hook leaves for a later one of the same system call. */
struct notes {
    __u64 dir, id_mapping; /* an inode is about to be made in this directory, through a mount with this mapping */
    __u32 refused;         /* something was refused since the last superblock was made */
    __u32 ipc_uid, ipc_gid, has_ipc_ids; /* the ids that an IPC object is about to get, as the caller calls them */
    __u32 key_permissions, key_gid, has_key_change; /* a key is about to get these; 0, INVALID_ID: it keeps its own */
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct notes);
} task_notes SEC(".maps");

/* NULL where there is no memory, which must count as the worst that could have been noted. */
static __always_inline struct notes* own_notes(void) {
    return bpf_task_storage_get(&task_notes, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* By the subjective credentials: io_uring's workers and overlayfs act with those of others. */
static __always_inline const struct cred* current_cred(void) { return bpf_get_current_task_btf()->cred; }

/* Counts calls of the service's own processes: what is counted shows that the kernel runs the programs. Any user can
 * give a process that name, but not make it root's: its calls about one family must not pass for the service's about
 * another that the kernel does not run. */
static __always_inline void count_beat(const struct cred* cred) {
    const struct task_struct* task = bpf_get_current_task_btf();
    __u64 name = *(const __u64*)&task->comm[0], wanted;
    __builtin_memcpy(&wanted, NSR_SERVICE_NAME, sizeof wanted);
    if (name == wanted && cred->euid.val == 0)
        add_beat(task->comm[10] == 'd' ? NSR_BEATS_OF_MANAGER : NSR_BEATS_OF_WORKERS);
}

/* Nothing is asked of a task in the initial user namespace; for all others the registrations decide. */
static __always_inline bool is_in_user_namespace(const struct cred* cred) {
    if (cred->user_ns->level != 0) return true;
    count_beat(cred);
    return false;
}

static __always_inline bool is_transient(__u32 id) {
    return (id >= 61184 && id <= 65519) || (id >= 524288 && id <= 1879048191);
}

/* The nearest registered namespace from this one upwards; 0: none. */
__noinline __u32 nearest_registered(__u64 userns) {
    for (int i = 0; i < MAX_NESTED && userns; i++) {
        if (registration_of(userns)) return inode_of(userns);
        userns = (__u64)BPF_CORE_READ(USERNS(userns), parent);
    }
    return 0;
}

/* Whose death makes an id free: the innermost namespace that it was given to, or, where nobody knows, the nearest one
 * of the task that uses it. 0: the id is not transient. */
static __always_inline __u32 owner_of(__u32 id, __u32 nearest) {
    if (!is_transient(id)) return 0;
    __u32 start = id < 524288 ? id : id & ~0xffffU;
    __u32* owner = bpf_map_lookup_elem(&owners, &start);
    if (!owner) return nearest;
    /* Its number may be another's by now. */
    __u32 inode = *owner;
    struct nsr_namespace* holder = bpf_map_lookup_elem(&namespaces, &inode);
    return holder && !holder->dead ? inode : nearest;
}

/* Whether namespaces with these numbers (0: none) are `holder` or above it, and so cannot die before it. */
__noinline int both_outlast(__u64 holder, __u32 first, __u32 second) {
    for (int i = 0; i < MAX_NESTED && holder && (first || second); i++) {
        __u32 inode = inode_of(holder);
        if (first == inode) first = 0;
        if (second == inode) second = 0;
        holder = (__u64)BPF_CORE_READ(USERNS(holder), parent);
    }
    return !first && !second;
}

/* May a task of `userns` record these ids on something that lives as long as `holder`? Yes if no namespace from its own
 * upwards is registered, or if the owners of the ids are `holder` or above it, and so cannot die before it. By the
 * owner of each id, not by the nearest registration: `type: self` inside a managed namespace may write, with the outer
 * one's ids, to the outer one's tmpfs; but its delegated ids, which are free sooner, may not go there. */
__noinline int judge_ids(__u64 userns, __u64 holder, __u32 uid, __u32 gid) {
    __u32 nearest = nearest_registered(userns);
    if (!nearest) return 0;
    return both_outlast(holder, owner_of(uid, nearest), owner_of(gid, nearest)) ? 0 : -EPERM;
}

/* Whether the cgroup, or one above it, was given to the namespace. */
__noinline int is_delegated(__u64 node, __u32 userns) {
    for (int i = 0; i < MAX_CGROUP_DEPTH && node; i++) {
        struct kernfs_node* cgroup = (void*)node;
        struct nsr_cgroup key = {BPF_CORE_READ(cgroup, id), userns, 0};
        if (bpf_map_lookup_elem(&cgroups, &key)) return 1;
        if (bpf_core_field_exists(cgroup->parent))
            node = (__u64)BPF_CORE_READ(cgroup, parent);
        else
            node = (__u64)BPF_CORE_READ((struct kernfs_node___rcu*)cgroup, __parent);
    }
    return 0;
}

/* Delegated cgroups are removed along with the namespace that has them: it has to be the owner of the ids, or below. */
__noinline int judge_cgroup(__u64 node, __u64 userns, __u32 uid, __u32 gid) {
    __u32 nearest = nearest_registered(userns);
    __u32 uid_owner = owner_of(uid, nearest), gid_owner = owner_of(gid, nearest);
    for (int i = 0; i < MAX_NESTED && userns; i++) {
        __u32 inode = inode_of(userns);
        if (registration_of(userns) && is_delegated(node, inode)) return 0;
        if (inode == uid_owner || inode == gid_owner) break;
        userns = (__u64)BPF_CORE_READ(USERNS(userns), parent);
    }
    return -EPERM;
}

/* Pipes and memfds are free, since no path leads to them: containers change the owner of their stdout.
 * The memfds of large pages have a file system of the kernel's own that does not say so. */
#define SB_KERNMOUNT (1UL << 22)
#define HUGETLBFS_MAGIC 0x958458f6
static __always_inline bool is_nowhere(const struct super_block* superblock) {
    unsigned long flags = superblock->s_flags;
    return flags & SB_NOUSER || (superblock->s_magic == HUGETLBFS_MAGIC && flags & SB_KERNMOUNT);
}

/* The owner of a socket is an authority: sockets of one owner share a port (SO_REUSEPORT). A process outside may have
 * the socket for longer than the id is in use. So the present owner has to be of the same namespace. */
static __noinline int judge_socket_owner(struct inode* socket, __u32 uid) {
    __u32 nearest = nearest_registered(number_of(current_cred()->user_ns));
    __u32 owner = owner_of(uid, nearest);
    return nearest && owner && owner_of(socket->i_uid.val, 0) != owner ? -EPERM : 0;
}

/* May the current task record these ids on the file system of `inode`, in `inode` itself or in this directory? */
static __noinline int judge_inode(struct inode* inode, __u32 uid, __u32 gid) {
    if (!is_transient(uid) && !is_transient(gid)) return 0;
    struct super_block* superblock = inode->i_sb;
    if (superblock->s_magic == SOCKFS_MAGIC) return judge_socket_owner(inode, uid);
    if (is_nowhere(superblock)) return 0;
    __u64 userns = number_of(current_cred()->user_ns);
    if (!judge_ids(userns, number_of(superblock->s_user_ns), uid, gid)) return 0;
    if (superblock->s_magic == CGROUP2_MAGIC && !judge_cgroup(number_of(inode->i_private), userns, uid, gid)) return 0;
    struct notes* notes = own_notes();
    if (notes) notes->refused = 1;
    return -EPERM;
}
