// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/result.h"
#include "instance.h"
#include "table.h"

/// The rows of the budget (doc/performance.md). Each function starts an instance of its own and leaves none.
namespace nsr::bench {

enum class Effort { kQuick, kFull };

struct Setting {
    const Place& place;
    Effort effort;
    Table& table;

    /// How often something is done, by effort.
    size_t times(size_t quick, size_t full) const { return effort == Effort::kQuick ? quick : full; }
};

Status measure_allocation(Setting& setting, const std::string& enforcement);
/// Whether this kernel can have the level `enforce`.
Result<bool> can_enforce(const Setting& setting);
/// Nothing where it cannot.
Status measure_enforced_allocation(Setting& setting);
Status measure_policy(Setting& setting);
Status measure_lookups(Setting& setting);
Status measure_parallel_clients(Setting& setting);
Status measure_idle_connections(Setting& setting);
Status measure_full_pool(Setting& setting);
Status measure_mass_death(Setting& setting);
/// What one user's attacks cost another one: in calls, and in waiting for releases.
Status measure_hostile_calls(Setting& setting);
Status measure_hostile_deaths(Setting& setting);

}  // namespace nsr::bench
