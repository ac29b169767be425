/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that a file sends: for F_SETOWN, FIOSETOWN, SIOCSPGRP, leases, dnotify, terminals with O_ASYNC. The file
 * keeps the uids of the task that asked for them, and may signal whatever process has one of these at the time. */
#pragma once

#include "judge.h"

static __always_inline struct file* file_of(const struct fown_struct* owner) {
    if (bpf_core_field_exists(owner->file)) return BPF_CORE_READ(owner, file);
    return (void*)(number_of(owner) - bpf_core_field_offset(struct file___with_owner, f_owner));
}

/* It is judged here and not when the owner is set, which drivers do as well, without asking. An open file holds the
 * user namespace of the task that opened it. If that one, or one above it, is the owner of the uids, they are in the
 * same hands as then. Of a file that was opened outside nothing tells. The task that sends does not matter. */
SEC("fmod_ret/security_file_send_sigiotask")
int BPF_PROG(judge_signal, struct task_struct* target, struct fown_struct* owner) {
    __u32 uid_owner = owner_of(owner->uid.val, 0), euid_owner = owner_of(owner->euid.val, 0);
    if (!uid_owner && !euid_owner) return 0;
    __u64 opener = (__u64)BPF_CORE_READ(file_of(owner), f_cred, user_ns);
    return verdict(!both_outlast(opener, uid_owner, euid_owner));
}
