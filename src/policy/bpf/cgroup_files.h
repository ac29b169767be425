/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of cgroups. A task that turns a controller on, by cgroup.subtree_control, owns the files which each cgroup
 * below gets for it. No inode is made then, and the descriptor may have been opened outside, by the owner of the
 * cgroup.
 *
 * This is not refused, only noted: kernels from Linux 6.3 to 6.18 lose memory with each refusal, and some up to 6.19
 * read through a null pointer (err_out4 in __kernfs_new_node()). The service takes back what was noted, before it hands
 * out the ids again. */
#pragma once

#include "new_inodes.h"

/* sysfs has such nodes, too. A cgroup and its directory point to each other. */
static __always_inline bool is_cgroup(const struct kernfs_node* directory) {
    struct cgroup* cgroup = directory->priv;
    return (__u64)BPF_CORE_READ(cgroup, kn) == number_of(directory);
}

static __always_inline void note_owner(__u32 inode) {
    struct nsr_namespace* registration = bpf_map_lookup_elem(&namespaces, &inode);
    if (registration) registration->flags |= NSR_OWNS_CGROUP_FILES;
}

static __noinline int note_owners(__u64 directory, __u32 uid, __u32 gid) {
    __u64 userns = number_of(current_cred()->user_ns);
    /* cgroup2 itself belongs to no namespace that can die. */
    if (!judge_ids(userns, 0, uid, gid) || !judge_cgroup(directory, userns, uid, gid)) return 0;
    __u32 nearest = nearest_registered(userns);
    note_owner(owner_of(uid, nearest));
    note_owner(owner_of(gid, nearest));
    return 0;
}

SEC("fmod_ret/security_kernfs_init_security")
int BPF_PROG(note_cgroup_file, struct kernfs_node* directory) {
    const struct cred* cred = current_cred();
    if (!is_in_user_namespace(cred) || !is_cgroup(directory)) return 0;
    __u32 gid = cred->fsgid.val;
    note_owners(number_of(directory), cred->fsuid.val, gid);
    if (!(directory->mode & S_ISGID) || !directory->iattr) return 0;
    note_owners(number_of(directory), cred->fsuid.val, BPF_CORE_READ(directory, iattr, ia_gid.val));
    return 0;
}
