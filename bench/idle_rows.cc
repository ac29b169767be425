// SPDX-License-Identifier: LGPL-2.1-or-later
// What 10,000 idle connections of one uid cost another one; and the memory of all this.
#include <algorithm>

#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kConnections = 10'000;
constexpr double kMebi = 1 << 20, kKibi = 1 << 10;
constexpr size_t kAllocations = 100;

/// By rounds.
struct Figures {
    std::vector<Samples> kept, fresh, allocated;
};

Result<std::vector<Connection>> open_idle(const Instance& instance, Uid user) {
    ActAs as(user);
    std::vector<Connection> connections;
    connections.reserve(kConnections);
    for (size_t i = 0; i < kConnections; ++i) connections.push_back(TRY(Connection::open(instance.socket())));
    // Answered only after all that came before have been accepted.
    TRY(connections.back().ask(memberships_request()));
    return connections;
}

Status measure_other(const Setting& setting, const Instance& instance, Figures& figures) {
    Uid user = next_user();
    Samples kept, fresh, allocated;
    {
        auto namespaces = TRY(make_user_namespaces(user, kAllocations));
        std::string request = memberships_request();
        ActAs as(user);
        auto connection = TRY(Connection::open(instance.socket()));
        for (size_t i = 0; i < setting.times(1000, 3000); ++i) {
            TRY(kept.time([&] { return connection.ask(request); }));
            TRY(fresh.time([&] { return ask_any(instance.socket(), request); }));
        }
        for (const auto& userns : namespaces) {
            std::string allocate = allocate_request();
            TRY(allocated.time([&] { return ask_once(instance.socket(), allocate, userns.borrow()); }));
        }
    }
    figures.kept.push_back(std::move(kept));
    figures.fresh.push_back(std::move(fresh));
    figures.allocated.push_back(std::move(allocated));
    return instance.wait_until_released(user);
}

Status print_memory(Setting& setting, const Instance& instance, const Memory& before, const Memory& after) {
    auto& table = setting.table;
    table.print_section("Memory");
    table.figure("manager, resident", static_cast<double>(before.resident) / kMebi, "MiB", Budget{.value = 8});
    table.figure("manager, of its own", static_cast<double>(before.own) / kMebi, "MiB", {});
    uint64_t most = 0;
    for (pid_t worker : TRY(instance.workers())) most = std::max(most, TRY(memory_of(worker)).own);
    table.figure("largest worker, of its own", static_cast<double>(most) / kMebi, "MiB", Budget{.value = 4});
    double growth = after.own > before.own ? static_cast<double>(after.own - before.own) : 0;
    table.figure("an idle connection, in the manager", growth / kConnections / kKibi, "KiB", Budget{.value = 1});
    return {};
}

}  // namespace

Status measure_idle_connections(Setting& setting) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    Figures warm_up, without, with;
    TRY(measure_other(setting, instance, warm_up));
    Memory before = TRY(memory_of(instance.pid()));
    Memory after;
    for (size_t i = 0; i < setting.times(3, 9); ++i) {
        TRY(measure_other(setting, instance, without));
        auto idle = TRY(open_idle(instance, next_user()));
        if (i == 0) after = TRY(memory_of(instance.pid()));
        TRY(measure_other(setting, instance, with));
    }
    auto& table = setting.table;
    table.print_section(
        fmt::format("{} idle connections of another uid: without, with, ratio of the p99", kConnections));
    table.compare_p99("GetMemberships, kept connection", without.kept, with.kept, Budget{.value = 1.5});
    table.compare_p99("GetMemberships, fresh connection", without.fresh, with.fresh, Budget{.value = 1.5});
    table.compare_p99("AllocateUserRange, fresh connection", without.allocated, with.allocated, Budget{.value = 1.5});
    TRY(print_memory(setting, instance, before, after));
    return instance.stop();
}

}  // namespace nsr::bench
