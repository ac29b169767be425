/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The owner and group of a tap or tun device, who may attach to it. No capability is asked of a task that has the
 * device open; the device lives as long as its network namespace, if its maker says so. */
#pragma once

#include "id_mapping.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct net {
    struct user_namespace* user_ns;
};
struct sock_common {
    struct {
        struct net* net;
    } skc_net;
};
struct sock {
    struct sock_common __sk_common;
};
struct inode___of_device {
    __u32 i_rdev;
};
struct file___of_tap {
    void* private_data;
};
#pragma clang attribute pop

#define S_IFMT 0170000
#define S_IFCHR 0020000
/* Major 10, minor 200, as the kernel has it in an inode. */
#define TUN_DEVICE (10U << 20 | 200)
/* TUNSETOWNER and TUNSETGROUP, whatever they say of the size of their argument. */
#define TUN_IOCTL_TYPE 'T'
#define TUN_SET_OWNER 204
#define TUN_SET_GROUP 206

static __always_inline bool is_tun(struct inode* inode) {
    struct inode___of_device* device = (void*)inode;
    return inode && (inode->i_mode & S_IFMT) == S_IFCHR && BPF_CORE_READ(device, i_rdev) == TUN_DEVICE;
}

/* The driver's own structure begins with a socket, of the network namespace that the device is in. */
static __noinline int judge_tap_ids(struct file* file, unsigned long argument, unsigned int number) {
    struct sock* socket = (void*)BPF_CORE_READ((struct file___of_tap*)file, private_data);
    __u64 userns = number_of(current_cred()->user_ns);
    __u64 holder = (__u64)BPF_CORE_READ(socket, __sk_common.skc_net.net, user_ns);
    __u32 id = map_id(map_of(userns, number == TUN_SET_OWNER ? UID : GID), (__u32)argument, 0);
    return is_transient(id) ? judge_ids(userns, holder, id, id) : 0;
}

static __always_inline int judge_tap(struct file* file, unsigned int command, unsigned long argument) {
    unsigned int number = command & 0xff;
    if ((command >> 8 & 0xff) != TUN_IOCTL_TYPE || (number != TUN_SET_OWNER && number != TUN_SET_GROUP)) return 0;
    if (!is_in_user_namespace(current_cred()) || !is_tun(file->f_inode)) return 0;
    return judge_tap_ids(file, argument, number);
}

SEC("fmod_ret/security_file_ioctl")
int BPF_PROG(judge_tap_owner, struct file* file, unsigned int command, unsigned long argument) {
    return verdict(judge_tap(file, command, argument));
}

SEC("fmod_ret/security_file_ioctl_compat")
int BPF_PROG(judge_tap_owner_compat, struct file* file, unsigned int command, unsigned long argument) {
    return verdict(judge_tap(file, command, argument));
}
