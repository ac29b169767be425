/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy (interface.md section 5), one header a family of hooks. They are written as fmod_ret on security_*
 * functions; where the kernel was booted with "bpf" among lsm= the loader attaches them to the hooks instead. */
#include "cgroup_files.h"
#include "existing_inodes.h"
#include "groups.h"
#include "ipc.h"
#include "keys.h"
#include "mount_options.h"
#include "new_inodes.h"
#include "overlayfs.h"
#include "signals.h"
#include "taps.h"

char LICENSE[] SEC("license") = "GPL";
