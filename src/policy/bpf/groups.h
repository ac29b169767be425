/* SPDX-License-Identifier: GPL-2.0-or-later */
/* setgroups(2) below `type: self`: its owner could otherwise drop a group whose members are denied something. */
#pragma once

#include "judge.h"

SEC("fmod_ret/security_task_fix_setgroups")
int BPF_PROG(judge_setgroups, struct cred* new_cred, const struct cred* old_cred) {
    if (!is_in_user_namespace(old_cred)) return 0;
    __u64 userns = number_of(old_cred->user_ns);
    for (int i = 0; i < MAX_NESTED && userns; i++) {
        struct nsr_namespace* registration = registration_of(userns);
        if (registration && registration->flags & NSR_SETGROUPS_ALLOWED) return 0;
        if (registration && registration->flags & NSR_SETGROUPS_DENIED) return verdict(1);
        userns = (__u64)BPF_CORE_READ(USERNS(userns), parent);
    }
    return 0;
}
