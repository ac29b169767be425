/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that give a file system's inodes an owner. A context of fsopen(2) can be passed on: the kernel takes the id
 * from the user namespace of the task that sets it, and not each file system asks whether its own one maps it. devpts
 * of Linux 7.3 does not, and each of its terminals then belongs to that id. */
#pragma once

#include "judge.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct fs_context {
    struct user_namespace* user_ns;
};
struct fs_parameter {
    const char* key;
};
#pragma clang attribute pop

static const char kUidOption[] = "uid", kGidOption[] = "gid";
#define OPTION_SIZE 8

static __always_inline bool names_owner(struct fs_parameter* parameter) {
    char key[OPTION_SIZE] = {};
    bpf_probe_read_kernel_str(key, sizeof key, BPF_CORE_READ(parameter, key));
    return !bpf_strncmp(key, sizeof kUidOption, kUidOption) || !bpf_strncmp(key, sizeof kGidOption, kGidOption);
}

/* Whose the id is, is not known before it is parsed: it counts as the nearest registered namespace's. */
__noinline int judge_owner_option(__u64 userns, __u64 holder) {
    __u32 nearest = nearest_registered(userns);
    if (!nearest) return 0;
    for (int i = 0; i < MAX_NESTED && holder; i++) {
        if (inode_of(holder) == nearest) return 0;
        holder = (__u64)BPF_CORE_READ(USERNS(holder), parent);
    }
    return -EPERM;
}

SEC("fmod_ret/security_fs_context_parse_param")
int BPF_PROG(judge_mount_option, struct fs_context* context, struct fs_parameter* parameter) {
    if (!is_in_user_namespace(current_cred()) || !names_owner(parameter)) return 0;
    return verdict(judge_owner_option(number_of(current_cred()->user_ns), number_of(context->user_ns)));
}
