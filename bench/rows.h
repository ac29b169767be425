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
Status measure_lookups(Setting& setting);
Status measure_parallel_clients(Setting& setting);
Status measure_idle_connections(Setting& setting);
Status measure_full_pool(Setting& setting);
Status measure_mass_death(Setting& setting);

}  // namespace nsr::bench
