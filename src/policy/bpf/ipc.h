/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System V objects: they live as long as their IPC namespace. POSIX message queues are inodes. */
#pragma once

#include "id_mapping.h"

#define IPC_SET 1

static __noinline int judge_ipc_ids(__u32 uid, __u32 gid) {
    if (!is_transient(uid) && !is_transient(gid)) return 0;
    struct task_struct* task = bpf_get_current_task_btf();
    return judge_ids(number_of(current_cred()->user_ns), number_of(task->nsproxy->ipc_ns->user_ns), uid, gid);
}

static __always_inline int judge_ipc_object(void) {
    const struct cred* cred = current_cred();
    return is_in_user_namespace(cred) ? judge_ipc_ids(cred->euid.val, cred->egid.val) : 0;
}

SEC("fmod_ret/security_shm_alloc")
int BPF_PROG(judge_shm) { return verdict(judge_ipc_object()); }

SEC("fmod_ret/security_sem_alloc")
int BPF_PROG(judge_sem) { return verdict(judge_ipc_object()); }

SEC("fmod_ret/security_msg_queue_alloc")
int BPF_PROG(judge_queue) { return verdict(judge_ipc_object()); }

/* The hooks below are not told which ids the object is to have. */
SEC("fentry/ipcctl_obtain_check")
int note_ipc_set(__u64* ctx) {
    __u32 command = (__u32)ctx[3] & 0xff;
    if (command != IPC_SET || !is_in_user_namespace(current_cred())) return 0;
    struct ipc64_perm* wanted = (void*)ctx[4];
    struct notes* notes = own_notes();
    if (!notes) return 0;
    notes->ipc_uid = BPF_CORE_READ(wanted, uid);
    notes->ipc_gid = BPF_CORE_READ(wanted, gid);
    notes->has_ipc_ids = 1;
    return 0;
}

/* Where the ids are not known any transient one could be meant. */
static __noinline int judge_ipc_set(int command) {
    if ((command & 0xff) != IPC_SET || !is_in_user_namespace(current_cred())) return 0;
    __u64 userns = number_of(current_cred()->user_ns);
    __u32 uid = 524288, gid = 524288;
    struct notes* notes = own_notes();
    if (notes && notes->has_ipc_ids) {
        uid = map_id(map_of(userns, UID), notes->ipc_uid, 0);
        gid = map_id(map_of(userns, GID), notes->ipc_gid, 0);
        notes->has_ipc_ids = 0;
    }
    return judge_ipc_ids(uid, gid);
}

SEC("fmod_ret/security_shm_shmctl")
int BPF_PROG(judge_shmctl, void* object, int command) { return verdict(judge_ipc_set(command)); }

SEC("fmod_ret/security_sem_semctl")
int BPF_PROG(judge_semctl, void* object, int command) { return verdict(judge_ipc_set(command)); }

SEC("fmod_ret/security_msg_queue_msgctl")
int BPF_PROG(judge_msgctl, void* object, int command) { return verdict(judge_ipc_set(command)); }
