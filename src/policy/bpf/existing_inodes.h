/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids that are put on inodes which exist: owners, access control lists, file capabilities; and further names of what
 * has such ids. */
#pragma once

#include "id_mapping.h"

#define ATTR_UID (1 << 1)
#define ATTR_GID (1 << 2)
#define ACL_USER 2
#define ACL_GROUP 8

SEC("fmod_ret/security_inode_link")
int BPF_PROG(judge_link, struct dentry* old_dentry) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct inode* inode = old_dentry->d_inode;
    return verdict(inode && judge_inode(inode, inode->i_uid.val, inode->i_gid.val));
}

/* Also where nothing would change: an inode that has the id already must not be made to seem to belong there. */
SEC("fmod_ret/security_inode_setattr")
int BPF_PROG(judge_setattr, void* mapping_pointer, struct dentry* dentry, struct iattr* change) {
    unsigned int valid = change->ia_valid;
    if (!(valid & (ATTR_UID | ATTR_GID)) || !is_in_user_namespace(current_cred())) return 0;
    struct inode* inode = dentry->d_inode;
    if (!inode) return 0;
    __u64 mapping = number_of(mapping_pointer), filesystem = number_of(inode->i_sb->s_user_ns);
    __u32 uid = valid & ATTR_UID ? recorded_id(mapping, filesystem, change->ia_uid.val, UID) : 0;
    __u32 gid = valid & ATTR_GID ? recorded_id(mapping, filesystem, change->ia_gid.val, GID) : 0;
    return verdict(judge_inode(inode, uid, gid));
}

/* Both forms of a list, in the kernel and in the extended attribute, have entries of this shape. */
struct acl_entry {
    __u16 tag, permissions;
    __u32 id;
};

/* Lists are cut into parts, so that the verifier looks at each loop once. An extended attribute has room for 8,191
 * entries. */
#define ACL_PART 128
#define ACL_PARTS 64

struct acl {
    __u64 entries, mapping, userns, holder;
    __u32 count;
};

__noinline int judge_acl_part(struct acl* acl) {
    if (!acl) return -EPERM;
    for (__u32 i = 0; i < ACL_PART && i < acl->count; i++) {
        struct acl_entry entry;
        if (bpf_probe_read_kernel(&entry, sizeof entry, (void*)(acl->entries + i * sizeof entry))) return -EPERM;
        if (entry.tag != ACL_USER && entry.tag != ACL_GROUP) continue;
        __u32 id = recorded_id(acl->mapping, acl->holder, entry.id, entry.tag == ACL_USER ? UID : GID);
        if (judge_ids(acl->userns, acl->holder, id, id)) return -EPERM;
    }
    return 0;
}

static __noinline int judge_acl(struct dentry* dentry, __u64 mapping, __u64 entries, __u32 count) {
    struct inode* inode = dentry->d_inode;
    if (!inode || is_nowhere(inode->i_sb)) return 0;
    struct acl part = {entries, mapping, number_of(current_cred()->user_ns), number_of(inode->i_sb->s_user_ns), 0};
    if (!nearest_registered(part.userns)) return 0;
    for (__u32 i = 0; i < ACL_PARTS && count; i++) {
        part.count = count < ACL_PART ? count : ACL_PART;
        if (judge_acl_part(&part)) return -EPERM;
        part.entries += part.count * sizeof(struct acl_entry);
        count -= part.count;
    }
    return count ? -EPERM : 0;
}

SEC("fmod_ret/security_inode_set_acl")
int BPF_PROG(judge_set_acl, void* mapping_pointer, struct dentry* dentry, const char* name, struct posix_acl* acl) {
    if (!acl || !is_in_user_namespace(current_cred())) return 0;
    __u64 entries = number_of(__builtin_preserve_access_index(&acl->a_entries[0]));
    /* Its ids have been through the mount's mapping. */
    return verdict(judge_acl(dentry, 0, entries, BPF_CORE_READ(acl, a_count)));
}

static const char kCapabilityName[] = "security.capability";
static const char kAclPrefix[] = "system.posix_acl_";
#define NAME_SIZE 32
#define ACL_HEADER_SIZE 4
/* struct vfs_ns_cap_data: revision 3 has the root's id in its last word. */
#define CAPABILITY_SIZE 24
#define CAPABILITY_ROOT 20

/* The value has been translated to revision 3, with the root as the file system sees it, before the hook is called. */
static __noinline int judge_capability(struct dentry* dentry, __u64 value, __u64 size) {
    __u32 magic = 0, root = 0;
    struct inode* inode = dentry->d_inode;
    if (!inode || size < CAPABILITY_SIZE) return 0;
    if (bpf_probe_read_kernel(&magic, sizeof magic, (void*)value)) return -EPERM;
    if (magic >> 24 != 3) return 0;
    if (bpf_probe_read_kernel(&root, sizeof root, (void*)(value + CAPABILITY_ROOT))) return -EPERM;
    __u64 filesystem = number_of(inode->i_sb->s_user_ns);
    if (BPF_CORE_READ(USERNS(filesystem), level)) root = map_id(map_of(filesystem, UID), root, 0);
    return judge_inode(inode, root, root);
}

/* Access control lists come here up to Linux 6.1 only; their ids are the kernel's by then, but have not been through
 * the mount's mapping. */
SEC("fmod_ret/security_inode_setxattr")
int judge_setxattr(__u64* ctx) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct dentry* dentry = (void*)ctx[1];
    char name[NAME_SIZE] = {};
    __u64 value = 0, size = ctx[4];
    /* The verifier up to Linux 6.12 lets nobody load an argument that is a "const void *". */
    bpf_probe_read_kernel(&value, sizeof value, ctx + 3);
    bpf_probe_read_kernel_str(name, sizeof name, (void*)ctx[2]);
    if (!bpf_strncmp(name, sizeof kCapabilityName, kCapabilityName))
        return verdict(judge_capability(dentry, value, size));
    if (bpf_strncmp(name, sizeof kAclPrefix - 1, kAclPrefix) || size < ACL_HEADER_SIZE) return 0;
    __u64 entries = value + ACL_HEADER_SIZE, count = (size - ACL_HEADER_SIZE) / sizeof(struct acl_entry);
    return verdict(judge_acl(dentry, number_of((void*)ctx[0]), entries, count));
}
