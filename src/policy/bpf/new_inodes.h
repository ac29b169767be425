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
#define XFS_MAGIC 0x58465342
#define BCACHEFS_MAGIC 0xca451a4e
#define MQUEUE_MAGIC 0x19800202
#define OVERLAYFS_MAGIC 0x794c7630

/* Newer kernels' vfs_create() is not given the directory; set by whoever loads the program. */
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

/* What system calls do, open(2) with O_CREAT among it; what the kernel does for overlayfs goes through the functions
 * above alone. Both may be noted: it is the same mount. */
static __always_inline int note_path(const struct path* dir) {
    note_mapping(mapping_of(dir->mnt), number_of(dir->dentry->d_inode));
    return 0;
}

SEC("fmod_ret/security_path_mknod")
int BPF_PROG(note_path_mknod, const struct path* dir) { return note_path(dir); }

SEC("fmod_ret/security_path_symlink")
int BPF_PROG(note_path_symlink, const struct path* dir) { return note_path(dir); }

/* The mount options grpid and bsdgroups give a new inode the group of its directory. Of ext4 it is known whether it has
 * them, if its module was there when the program was loaded. */
#define EXT4_MOUNT_GRPID 0x4
enum group_source { UNKNOWN, TASK, DIRECTORY };

static __always_inline enum group_source ext4_group_source(const struct super_block* superblock) {
    struct ext4_sb_info* info = superblock->s_fs_info;
    if (!bpf_core_field_exists(info->s_mount_opt)) return UNKNOWN;
    return BPF_CORE_READ(info, s_mount_opt) & EXT4_MOUNT_GRPID ? DIRECTORY : TASK;
}

/* A set-group-ID directory gives its own group where the file system asks inode_init_owner(). mqueue does not, cgroup2
 * only since Linux 6.3, and the server of a FUSE does as it likes. */
static __always_inline enum group_source group_source_of(const struct inode* dir) {
    bool hands_down = dir->i_mode & S_ISGID;
    switch (dir->i_sb->s_magic) {
        case EXT4_MAGIC:
            return hands_down ? DIRECTORY : ext4_group_source(dir->i_sb);
        case XFS_MAGIC:
            return hands_down ? DIRECTORY : UNKNOWN;
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
        case BTRFS_MAGIC:
        case F2FS_MAGIC:
        case OVERLAYFS_MAGIC:
            return hands_down ? DIRECTORY : TASK;
        case CGROUP2_MAGIC:
            return hands_down ? UNKNOWN : TASK;
        case MQUEUE_MAGIC:
            return TASK;
        default:
            return UNKNOWN;
    }
}

/* The ids of the task, as they are recorded through a mount with this mapping. */
static __noinline int judge_task_ids(struct inode* dir, __u64 mapping) {
    const struct cred* cred = current_cred();
    __u64 filesystem = number_of(dir->i_sb->s_user_ns);
    __u32 uid = recorded_id(mapping, filesystem, cred->fsuid.val, UID);
    return judge_inode(dir, uid, recorded_id(mapping, filesystem, cred->fsgid.val, GID));
}

/* Where nobody knows which group it will be, both have to be good. */
static __noinline int judge_new_inode(struct inode* dir, __u64 mapping) {
    __u64 filesystem = number_of(dir->i_sb->s_user_ns);
    __u32 uid = recorded_id(mapping, filesystem, current_cred()->fsuid.val, UID);
    enum group_source source = group_source_of(dir);
    if (source != DIRECTORY && judge_task_ids(dir, mapping)) return -EPERM;
    return source == TASK ? 0 : judge_inode(dir, uid, dir->i_gid.val);
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
int BPF_PROG(judge_create, struct inode* dir) { return verdict(judge_noted_inode(dir)); }

SEC("fmod_ret/security_inode_mkdir")
int BPF_PROG(judge_mkdir, struct inode* dir) { return verdict(judge_noted_inode(dir)); }

SEC("fmod_ret/security_inode_mknod")
int BPF_PROG(judge_mknod, struct inode* dir) { return verdict(judge_noted_inode(dir)); }

SEC("fmod_ret/security_inode_symlink")
int BPF_PROG(judge_symlink, struct inode* dir) { return verdict(judge_noted_inode(dir)); }

/* For a subvolume bcachefs asks this alone. What mkdir(2) makes is judged once more, as a new inode. */
SEC("fmod_ret/security_path_mkdir")
int BPF_PROG(judge_path_mkdir, const struct path* path) {
    note_path(path);
    struct inode* dir = path->dentry->d_inode;
    if (!dir || dir->i_sb->s_magic != BCACHEFS_MAGIC || !is_in_user_namespace(current_cred())) return 0;
    return verdict(judge_new_inode(dir, mapping_of(path->mnt)));
}

SEC("fmod_ret/security_path_rename")
int BPF_PROG(judge_whiteout, const struct path* old_dir, struct dentry* old_dentry, const struct path* new_dir,
             struct dentry* new_dentry, unsigned int flags) {
    if (!(flags & RENAME_WHITEOUT) || !is_in_user_namespace(current_cred())) return 0;
    struct inode* dir = old_dir->dentry->d_inode;
    return verdict(dir && judge_new_inode(dir, mapping_of(old_dir->mnt)));
}

/* The inode of O_TMPFILE exists by then, with the ids that it was given. It is refused here, not when it is linked:
 * an unmanaged process that is handed the descriptor could do that. */
SEC("fmod_ret/security_file_open")
int BPF_PROG(judge_tmpfile, struct file* file) {
    if (!(file->f_flags & __O_TMPFILE) || !is_in_user_namespace(current_cred())) return 0;
    struct inode* inode = file->f_inode;
    return verdict(inode && judge_inode(inode, inode->i_uid.val, inode->i_gid.val));
}

/* Subvolumes and snapshots. btrfs makes their root directories without any other hook: BTRFS_IOC_SNAP_CREATE,
 * SUBVOL_CREATE, and the second version of both. bcachefs takes the mapping from the file of the ioctl(2), and not from
 * the directory's mount: BCH_IOCTL_SUBVOLUME_CREATE, and its second version. */
#define BTRFS_IOCTL_TYPE 0x94
#define BCACHEFS_IOCTL_TYPE 0xbc
static __always_inline bool makes_subvolume(unsigned long filesystem, unsigned int command) {
    unsigned int type = command >> 8 & 0xff, number = command & 0xff;
    if (type == BTRFS_IOCTL_TYPE && filesystem == BTRFS_MAGIC)
        return number == 1 || number == 14 || number == 23 || number == 24;
    return type == BCACHEFS_IOCTL_TYPE && filesystem == BCACHEFS_MAGIC && (number == 16 || number == 29);
}

/* FS_IOC_ADD_ENCRYPTION_KEY (fscrypt): the file system keeps the id of whoever added a key, and takes the next one who
 * has it for the same user. */
static __always_inline bool adds_encryption_key(unsigned int command) {
    return (command >> 8 & 0xff) == 'f' && (command & 0xff) == 23;
}

/* Their group is the task's also in a set-group-ID directory. What a snapshot has in it was there before, and is not
 * looked at: the kernel asks nobody about it. */
static __always_inline int judge_ioctl(struct file* file, unsigned int command) {
    if (!is_in_user_namespace(current_cred())) return 0;
    struct inode* inode = file->f_inode;
    bool adds_key = adds_encryption_key(command);
    if (!inode || (!adds_key && !makes_subvolume(inode->i_sb->s_magic, command))) return 0;
    struct path* path = __builtin_preserve_access_index(&file->f_path);
    return judge_task_ids(inode, adds_key ? 0 : mapping_of(BPF_CORE_READ(path, mnt)));
}

SEC("fmod_ret/security_file_ioctl")
int BPF_PROG(judge_subvolume, struct file* file, unsigned int command) { return verdict(judge_ioctl(file, command)); }

SEC("fmod_ret/security_file_ioctl_compat")
int BPF_PROG(judge_subvolume_compat, struct file* file, unsigned int command) {
    return verdict(judge_ioctl(file, command));
}
