/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An overlay whose upper layer is on the host. What it makes there when it is mounted, with the mounter's credentials,
 * is judged like everything else; but where that is refused it would go on read-only, so that the mount itself has to
 * be. Nothing has to be known of overlayfs, which is a module whose types are there only while it is loaded. */
#pragma once

#include "new_inodes.h"

SEC("fmod_ret/security_sb_alloc")
int BPF_PROG(forget_refusals) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct notes* notes = own_notes();
    if (notes) notes->refused = 0;
    return 0;
}

SEC("fmod_ret/security_sb_kern_mount")
int BPF_PROG(judge_overlay, struct super_block* superblock) {
    if (superblock->s_magic != OVERLAYFS_MAGIC || !is_in_user_namespace(current_cred())) return 0;
    struct notes* notes = own_notes();
    if (!notes) return verdict(nearest_registered(number_of(current_cred()->user_ns)));
    return verdict(notes->refused);
}
