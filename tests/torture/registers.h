// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>

/// What this program does with the registers of a process that stands at a system call: the one place that depends on
/// the architecture.
namespace nsr::injector {

/// Before the call: it will not be carried out.
bool skip_call(pid_t pid);
/// After the call: it gives this error.
bool set_error(pid_t pid, int code);

}  // namespace nsr::injector
