/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few fields of kernel structures that the programs read. Offsets are found when the programs are loaded, by the
 * type information of the kernel at hand, so that one object fits all, and none is needed to build it. A structure with
 * a suffix after three underscores is what it was, or will be, in other versions. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    __u32 val;
} kuid_t;
typedef struct {
    __u32 val;
} kgid_t;

struct uid_gid_extent {
    __u32 first, lower_first, count;
};
struct uid_gid_map {
    __u32 nr_extents;
    struct uid_gid_extent extent[5];
    struct uid_gid_extent *forward, *reverse;
};

struct ns_common {
    unsigned int inum;
};
struct ns_common___with_id { /* Linux 6.18 */
    __u64 ns_id;
};
struct user_namespace {
    struct uid_gid_map uid_map, gid_map;
    struct user_namespace* parent;
    int level;
    struct ns_common ns;
};

struct cred {
    kuid_t fsuid, euid;
    kgid_t fsgid, egid;
    struct user_namespace* user_ns;
};
struct ipc_namespace {
    struct user_namespace* user_ns;
};
struct nsproxy {
    struct ipc_namespace* ipc_ns;
};
struct task_struct {
    const struct cred* cred;
    char comm[16];
    struct nsproxy* nsproxy;
};

struct super_block {
    unsigned long s_flags, s_magic;
    struct user_namespace* s_user_ns;
    void* s_fs_info;
};
struct ext4_sb_info { /* of a module: known if that is loaded before the programs are */
    unsigned int s_mount_opt;
};
struct inode {
    unsigned short i_mode;
    kuid_t i_uid;
    kgid_t i_gid;
    struct super_block* i_sb;
    void* i_private;
};
struct dentry {
    struct inode* d_inode;
    struct dentry* d_parent;
};

struct mnt_idmap { /* Linux 6.9 */
    struct uid_gid_map uid_map, gid_map;
};
struct mnt_idmap___with_owner { /* Linux 6.2 to 6.8 */
    struct user_namespace* owner;
};
struct vfsmount {
    struct mnt_idmap* mnt_idmap;
};
struct vfsmount___with_userns { /* up to Linux 6.1 */
    struct user_namespace* mnt_userns;
};
struct path {
    struct vfsmount* mnt;
    struct dentry* dentry;
};
struct file {
    unsigned int f_flags;
    struct inode* f_inode;
    struct path f_path;
    const struct cred* f_cred;
};
struct fown_struct {
    struct file* file; /* Linux 6.12 */
    kuid_t uid, euid;
};
struct file___with_owner { /* up to Linux 6.11 */
    struct fown_struct f_owner;
};

struct iattr {
    unsigned int ia_valid;
    kuid_t ia_uid;
    kgid_t ia_gid;
};
struct posix_acl_entry {
    short e_tag;
    unsigned short e_perm;
    kuid_t e_uid;
};
struct posix_acl {
    unsigned int a_count;
    struct posix_acl_entry a_entries[];
};

struct kernfs_iattrs {
    kgid_t ia_gid;
};
struct kernfs_node {
    struct kernfs_node* parent;
    __u64 id;
    unsigned short mode;
    void* priv;
    struct kernfs_iattrs* iattr;
};
struct kernfs_node___rcu { /* Linux 6.15 */
    struct kernfs_node* __parent;
};

struct cgroup {
    struct kernfs_node* kn;
};

struct ipc64_perm {
    __u32 uid, gid;
};

struct key_type {
    const char* name;
};
struct key {
    kuid_t uid;
    kgid_t gid;
    struct key_type* type;
};
enum key_need_perm { KEY_NEED_WRITE = 3, KEY_NEED_LINK = 5, KEY_NEED_SETATTR = 6 };

#pragma clang attribute pop

/* Kernel pointers travel as numbers between global functions: the verifier then looks at each of these functions once a
 * program, not once a call. */
#define USERNS(number) ((struct user_namespace*)(number))

/* What the verifier knows as a pointer, as a number. */
static __always_inline __u64 number_of(const void* pointer) {
    __u64 number = 0;
    bpf_probe_read_kernel(&number, sizeof number, &pointer);
    return number;
}
