// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/programs.h"

#include <array>

namespace nsr::policy {

namespace {

using enum Program::Need;

constexpr std::array<Program, 30> kPrograms{{
    {"note_mkdir", "vfs_mkdir"},
    {"note_mknod", "vfs_mknod"},
    {"note_symlink", "vfs_symlink"},
    {"note_create", "vfs_create"},
    {"note_open", "security_path_mknod"},
    {"note_rename", "vfs_rename"},
    {"judge_create", "security_inode_create"},
    {"judge_mkdir", "security_inode_mkdir"},
    {"judge_mknod", "security_inode_mknod"},
    {"judge_symlink", "security_inode_symlink"},
    {"judge_whiteout", "security_inode_rename"},
    {"judge_final_ids", "security_inode_init_security"},
    {"judge_tmpfile", "security_file_open"},
    {"judge_subvolume", "security_file_ioctl"},
    {"judge_subvolume_compat", "security_file_ioctl_compat", kIfThere,
     "subvolumes of btrfs, if the kernel asks about 32-bit programs' ioctl(2) nowhere"},
    {"judge_link", "security_inode_link"},
    {"judge_setattr", "security_inode_setattr"},
    // Up to Linux 6.1 access control lists go through setxattr.
    {"judge_set_acl", "security_inode_set_acl", kIfThere},
    {"judge_setxattr", "security_inode_setxattr"},
    {"forget_refusals", "security_sb_alloc"},
    {"judge_overlay", "security_sb_kern_mount"},
    {"judge_shm", "security_shm_alloc"},
    {"judge_sem", "security_sem_alloc"},
    {"judge_queue", "security_msg_queue_alloc"},
    // Without it the owner of a foreign IPC object cannot be changed at all.
    {"note_ipc_set", "ipcctl_obtain_check", kIfThere},
    {"judge_shmctl", "security_shm_shmctl"},
    {"judge_semctl", "security_sem_semctl"},
    {"judge_msgctl", "security_msg_queue_msgctl"},
    // Only a kernel without keys lacks it.
    {"judge_key", "security_key_permission", kIfThere},
    {"judge_setgroups", "security_task_fix_setgroups"},
}};

}  // namespace

std::span<const Program> policy_programs() { return kPrograms; }

}  // namespace nsr::policy
