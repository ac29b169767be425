// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registers.h"

#include <sys/ptrace.h>
#include <sys/user.h>
#include <cstddef>

#ifndef __x86_64__
#error "the injector knows the registers of x86_64 only"
#endif

namespace nsr::injector {

bool skip_call(pid_t pid) { return ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, orig_rax), -1L) == 0; }

bool set_error(pid_t pid, int code) {
    return ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, rax), -static_cast<long>(code)) == 0;
}

}  // namespace nsr::injector
