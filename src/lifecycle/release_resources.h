// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/release_turn.h"

namespace nsr::lifecycle {

/// Unless kAll, something may still have ids of the pools, so none of them may be handed out. kInPart: the turn was
/// over. kFailed: to be tried again after a moment.
enum class Released { kAll, kInPart, kFailed };

/// Of a registration whose namespace is dead: its links first. Can be done again, as the next one, and goes on where it
/// was.
Released release_links(const ReleaseTurn& turn, const registry::Registration& registration);
/// Then its cgroups. One that is busy or large is noted beside the registry, for tidy(): it holds up nothing else, for
/// it is given to root first, with all below it.
Released release_cgroups(Instance& instance, ReleaseTurn& turn, const registry::Registration& registration);

/// Then what systemd-coredump(8) has written down of its ids. Where that cannot be taken back, or takes longer
/// than a turn, the ranges are marked as used: no later owner may read what the earlier one's processes had in memory.
Status release_core_files(Instance& instance, const registry::Registration& registration);

/// The record is about to be removed.
Status forget_release(const Instance& instance, const registry::Registration& registration);
/// At the start: all are begun anew.
Status forget_all_releases(const Instance& instance);

}  // namespace nsr::lifecycle
