// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>

#include "policy/entries.h"

namespace nsr::policy {

/// Whether what is attached does what it should: some kernels attach programs that are never called. A throw-away
/// managed namespace with an id that nobody has tries what must be refused and what must not be, in a new directory
/// below `host_dir`, which is removed again. An Error names the first thing that came out wrong (EPROTO), or what kept
/// it from being tried. The calling process must have one thread only.
/// `is_free` says whether a single id is nobody's.
Status prove_enforcement(Entries& entries, const std::string& host_dir, const std::function<bool(Uid)>& is_free);

/// What a trial has left that was killed: directories that belong to an id which somebody may get.
void remove_old_trials(const std::string& host_dir);

}  // namespace nsr::policy
