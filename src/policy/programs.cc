// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/programs.h"

#include <array>

namespace nsr::policy {

namespace {

using enum Program::Need;

constexpr std::array<Program, 40> kPrograms{{
    {"note_mkdir", "vfs_mkdir", ""},
    {"note_mknod", "vfs_mknod", ""},
    {"note_symlink", "vfs_symlink", ""},
    {"note_create", "vfs_create", ""},
    {"judge_path_mkdir", "security_path_mkdir", "path_mkdir"},
    {"note_path_mknod", "security_path_mknod", "path_mknod"},
    {"note_path_symlink", "security_path_symlink", "path_symlink"},
    {"judge_create", "security_inode_create", "inode_create"},
    {"judge_mkdir", "security_inode_mkdir", "inode_mkdir"},
    {"judge_mknod", "security_inode_mknod", "inode_mknod"},
    {"judge_symlink", "security_inode_symlink", "inode_symlink"},
    {"judge_whiteout", "security_path_rename", "path_rename"},
    {"judge_tmpfile", "security_file_open", "file_open"},
    {"judge_subvolume", "security_file_ioctl", "file_ioctl"},
    {"judge_subvolume_compat", "security_file_ioctl_compat", "file_ioctl_compat", kIfThere,
     "subvolumes of btrfs, if the kernel asks about 32-bit programs' ioctl(2) nowhere"},
    {"judge_link", "security_inode_link", "inode_link"},
    {"judge_setattr", "security_inode_setattr", "inode_setattr"},
    // Up to Linux 6.1 access control lists go through setxattr.
    {"judge_set_acl", "security_inode_set_acl", "inode_set_acl", kIfThere},
    {"judge_setxattr", "security_inode_setxattr", "inode_setxattr"},
    {"forget_refusals", "security_sb_alloc", "sb_alloc_security"},
    {"judge_overlay", "security_sb_kern_mount", "sb_kern_mount"},
    {"note_cgroup_file", "security_kernfs_init_security", "kernfs_init_security"},
    {"judge_signal", "security_file_send_sigiotask", "file_send_sigiotask"},
    {"judge_mount_option", "security_fs_context_parse_param", "fs_context_parse_param"},
    {"judge_shm", "security_shm_alloc", "shm_alloc_security"},
    {"judge_sem", "security_sem_alloc", "sem_alloc_security"},
    {"judge_queue", "security_msg_queue_alloc", "msg_queue_alloc_security"},
    // Without it the owner of a foreign IPC object cannot be changed at all.
    {"note_ipc_set", "ipcctl_obtain_check", "", kIfThere},
    {"judge_shmctl", "security_shm_shmctl", "shm_shmctl"},
    {"judge_semctl", "security_sem_semctl", "sem_semctl"},
    {"judge_msgctl", "security_msg_queue_msgctl", "msg_queue_msgctl"},
    // Only a kernel without keys lacks these.
    {"judge_new_key", "security_key_alloc", "key_alloc", kIfThere},
    {"judge_key", "security_key_permission", "key_permission", kIfThere},
    {"note_setperm", "keyctl_setperm_key", "", kIfThere},
    {"note_key_chown", "keyctl_chown_key", "", kIfThere},
    {"note_key_timeout", "keyctl_set_timeout", "", kIfThere},
    {"note_key_restriction", "keyctl_restrict_keyring", "", kIfThere},
    {"judge_tap_owner", "security_file_ioctl", "file_ioctl"},
    {"judge_tap_owner_compat", "security_file_ioctl_compat", "file_ioctl_compat", kIfThere},
    {"judge_setgroups", "security_task_fix_setgroups", "task_fix_setgroups"},
}};

}  // namespace

std::span<const Program> policy_programs() { return kPrograms; }

}  // namespace nsr::policy
