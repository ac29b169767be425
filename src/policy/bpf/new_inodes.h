/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever makes an inode. The inode hooks see what path hooks do not: POSIX message queues, what overlayfs does on its
 * layers, io_uring, sockets, core dumps. */
#pragma once

#include <linux/fcntl.h>
#include <linux/fs.h>

#include "id_mapping.h"

#define S_ISGID 02000
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define BTRFS_MAGIC 0x9123683e
#define F2FS_MAGIC 0xf2f52010
#define EXT4_MAGIC 0xef53
#define MQUEUE_MAGIC 0x19800202
#define OVERLAYFS_MAGIC 0x794c7630

/* vfs_create() has had no directory since Linux 6.19; set by whoever loads the program. */
const volatile bool vfs_create_has_no_dir = false;

SEC("fentry/vfs_mkdir")
int note_mkdir(__u64* ctx) {
    note_mapping(ctx[0], ctx[1]);
    return 0;
}

SEC("fentry/vfs_mknod")
int note_mknod(__u64* ctx) {
    note_mapping(ctx[0], ctx[1]);
    return 0;
}

SEC("fentry/vfs_symlink")
int note_symlink(__u64* ctx) {
    note_mapping(ctx[0], ctx[1]);
    return 0;
}

SEC("fentry/vfs_create")
int note_create(__u64* ctx) {
    __u64 dir = ctx[1];
    if (vfs_create_has_no_dir) dir = (__u64)BPF_CORE_READ((struct dentry*)ctx[1], d_parent, d_inode);
    note_mapping(ctx[0], dir);
    return 0;
}

/* open(2) with O_CREAT, which does not go through vfs_create(). */
SEC("fmod_ret/security_path_mknod")
int BPF_PROG(note_open, const struct path* dir) {
    note_mapping(mapping_of(dir->mnt), number_of(dir->dentry->d_inode));
    return 0;
}

SEC("fentry/vfs_rename")
int note_rename(__u64* ctx) {
    struct renamedata* data = (void*)ctx[0];
    struct renamedata___with_dir* newer = (void*)data;
    struct renamedata___with_userns* oldest = (void*)data;
    if (!(BPF_CORE_READ(data, flags) & RENAME_WHITEOUT)) return 0;
    if (bpf_core_field_exists(oldest->old_mnt_userns))
        note_mapping((__u64)BPF_CORE_READ(oldest, old_mnt_userns), (__u64)BPF_CORE_READ(newer, old_dir));
    else if (bpf_core_field_exists(newer->old_mnt_idmap))
        note_mapping((__u64)BPF_CORE_READ(newer, old_mnt_idmap), (__u64)BPF_CORE_READ(newer, old_dir));
    else
        note_mapping((__u64)BPF_CORE_READ(data, mnt_idmap), (__u64)BPF_CORE_READ(data, old_parent, d_inode));
    return 0;
}

/* ext4 asks once more when a new inode has its ids, and can give it up then. Not all can: btrfs aborts a transaction, and
 * is read-only from then on, for everybody. */
static __always_inline bool has_final_ids(const struct super_block* superblock) {
    return superblock->s_magic == EXT4_MAGIC;
}

/* Where it is certain that no mount option gives new inodes the group of their directory (grpid, bsdgroups). */
static __always_inline bool takes_group_of_task(const struct super_block* superblock) {
    switch (superblock->s_magic) {
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
        case BTRFS_MAGIC:
        case F2FS_MAGIC:
        case MQUEUE_MAGIC:
        case OVERLAYFS_MAGIC:
        case CGROUP2_MAGIC:
            return true;
        default:
            return false;
    }
}

/* The ids of the task, as they are recorded through a mount with this mapping. */
static __noinline int judge_task_ids(struct inode* dir, __u64 mapping) {
    const struct cred* cred = current_cred();
    __u64 filesystem = number_of(dir->i_sb->s_user_ns);
    __u32 uid = recorded_id(mapping, filesystem, cred->fsuid.val, UID);
    return judge_inode(dir, uid, recorded_id(mapping, filesystem, cred->fsgid.val, GID));
}

static __noinline int judge_new_inode(struct inode* dir, __u64 mapping) {
    __u64 filesystem = number_of(dir->i_sb->s_user_ns);
    __u32 uid = recorded_id(mapping, filesystem, current_cred()->fsuid.val, UID);
    __u32 dir_gid = dir->i_gid.val;
    if (dir->i_mode & S_ISGID) return judge_inode(dir, uid, dir_gid);
    if (has_final_ids(dir->i_sb)) return judge_inode(dir, uid, 0);
    int verdict = judge_task_ids(dir, mapping);
    if (verdict || takes_group_of_task(dir->i_sb)) return verdict;
    return judge_inode(dir, uid, dir_gid);
}

/* A note is about the directory that it names only: mq_open(2) makes inodes without one. */
static __noinline int judge_noted_inode(struct inode* dir) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct notes* notes = own_notes();
    if (!notes) return nearest_registered(number_of(current_cred()->user_ns)) ? -EPERM : 0;
    __u64 mapping = notes->dir == (__u64)dir ? notes->id_mapping : 0;
    notes->dir = 0;
    return judge_new_inode(dir, mapping);
}

SEC("fmod_ret/security_inode_create")
int BPF_PROG(judge_create, struct inode* dir) { return judge_noted_inode(dir); }

SEC("fmod_ret/security_inode_mkdir")
int BPF_PROG(judge_mkdir, struct inode* dir) { return judge_noted_inode(dir); }

SEC("fmod_ret/security_inode_mknod")
int BPF_PROG(judge_mknod, struct inode* dir) { return judge_noted_inode(dir); }

SEC("fmod_ret/security_inode_symlink")
int BPF_PROG(judge_symlink, struct inode* dir) { return judge_noted_inode(dir); }

SEC("fmod_ret/security_inode_rename")
int BPF_PROG(judge_whiteout, struct inode* old_dir, struct dentry* old_dentry, struct inode* new_dir,
             struct dentry* new_dentry, unsigned int flags) {
    return flags & RENAME_WHITEOUT ? judge_noted_inode(old_dir) : 0;
}

/* Mounted with grpid, it gives a new inode the group of its directory; nobody else knows the option. */
SEC("fmod_ret/security_inode_init_security")
int BPF_PROG(judge_final_ids, struct inode* inode) {
    if (!is_in_user_namespace(current_cred()) || !has_final_ids(inode->i_sb)) return 0;
    return judge_inode(inode, inode->i_uid.val, inode->i_gid.val);
}

/* The inode of O_TMPFILE exists by then, with the ids that it was given. It is refused here, not when it is linked:
 * an unmanaged process that is handed the descriptor could do that. */
SEC("fmod_ret/security_file_open")
int BPF_PROG(judge_tmpfile, struct file* file) {
    if (!(file->f_flags & __O_TMPFILE) || !is_in_user_namespace(current_cred())) return 0;
    struct inode* inode = file->f_inode;
    return judge_inode(inode, inode->i_uid.val, inode->i_gid.val);
}

/* Subvolumes and snapshots of btrfs, which makes their root directories without any other hook: BTRFS_IOC_SNAP_CREATE,
 * SUBVOL_CREATE, and the second version of both. */
#define BTRFS_IOCTL_TYPE 0x94
static __always_inline bool makes_subvolume(unsigned int command) {
    unsigned int number = command & 0xff;
    return (command >> 8 & 0xff) == BTRFS_IOCTL_TYPE && (number == 1 || number == 14 || number == 23 || number == 24);
}

/* Their group is the task's also in a set-group-ID directory. What a snapshot has in it was there before, and is not
 * looked at: the kernel asks nobody about it. */
static __always_inline int judge_ioctl(struct file* file, unsigned int command) {
    if (!makes_subvolume(command) || !is_in_user_namespace(current_cred())) return 0;
    struct inode* dir = file->f_inode;
    if (!dir || dir->i_sb->s_magic != BTRFS_MAGIC) return 0;
    struct path* path = __builtin_preserve_access_index(&file->f_path);
    return judge_task_ids(dir, mapping_of(BPF_CORE_READ(path, mnt)));
}

SEC("fmod_ret/security_file_ioctl")
int BPF_PROG(judge_subvolume, struct file* file, unsigned int command) { return judge_ioctl(file, command); }

SEC("fmod_ret/security_file_ioctl_compat")
int BPF_PROG(judge_subvolume_compat, struct file* file, unsigned int command) { return judge_ioctl(file, command); }
