// SPDX-License-Identifier: LGPL-2.1-or-later
// Many namespaces that die at once.
#include "crowd.h"
#include "rows.h"

namespace nsr::bench {

namespace {

constexpr size_t kNamespaces = 5000;

}  // namespace

Status measure_mass_death(Setting& setting) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    Samples cleaning, allocations;
    for (size_t i = 0; i < setting.times(1, 5); ++i) {
        Crowd crowd;
        TRY(crowd.grow(instance, kNamespaces, allocations));
        auto clean = cleaning.time([&] {
            crowd.release();
            return crowd.wait_until_released(instance);
        });
        TRY(clean);
    }
    setting.table.print_section(fmt::format("{} namespaces closed at once", kNamespaces));
    setting.table.figure("until the registry is clean", cleaning.p50() / 1e6, "s", Budget{.value = 2});
    size_t left = TRY(instance.registrations());
    setting.table.figure("registrations left", static_cast<double>(left), "", Budget{.value = 0});
    return instance.stop();
}

}  // namespace nsr::bench
