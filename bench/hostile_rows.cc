// SPDX-License-Identifier: LGPL-2.1-or-later
// What one user who holds 65,536 ids can do to another one's calls: in each round these are measured quiet, and while
// the attack goes on.
#include "attack.h"
#include "other_user.h"
#include "rows.h"

namespace nsr::bench {

namespace {

constexpr Table::AttackBudget kBudget{.p50 = {.ratio = 2, .usec = 5000}, .p99 = {.ratio = 3, .usec = 5000}};

/// Five a minute and a summary; one end of a minute may come in between.
constexpr double kMaxLogLines = 12;

/// No attacks: what the scheduler alone makes of so many busy processes.
constexpr Attack kHogs[]{
    {"1 process that only burns cycles", 1, burn_cycles},
    {"4 processes that only burn cycles", 4, burn_cycles},
    {"16 processes that only burn cycles", 16, burn_cycles},
};

constexpr Attack kAttacks[]{
    {"lingering sockets, hang-up", 1, hang_up_with_lingering_sockets},
    {"lingering sockets within messages", 1, send_lingering_sockets_in_the_middle},
    {"half messages of > 4 KiB, 40 uids", 1, withhold_the_rest_of_long_messages},
    {"short requests of 3,000 uids", 3, ask_as_many_uids},
    {"byte by byte on 3,000 connections", 1, send_byte_by_byte},
    {"16 clients with 16 delegates", 16, allocate_with_delegates},
    {"pipelined look-ups, 32 connections", 1, pipeline_lookups},
    {"connections and hang-ups", 2, connect_and_hang_up},
    {"messages of 1 MiB, 16 clients", 16, send_big_messages},
    {"failing calls, 4 clients", 4, make_calls_fail},
};

struct Rounds {
    std::vector<Samples> lookups, allocations;
    size_t failed = 0;

    void add(Calls calls) {
        lookups.push_back(std::move(calls.lookups));
        allocations.push_back(std::move(calls.allocations));
        failed += calls.failed;
    }
};

Status measure_rounds(const Setting& setting, const Instance& instance, const Attack& attack, Rounds& quiet,
                      Rounds& attacked) {
    const size_t lookups = setting.times(300, 1000), allocations = setting.times(40, 100);
    for (size_t round = 0; round < setting.times(1, 3); ++round) {
        auto attacker = TRY(RangeHolder::create(instance.socket()));
        TRY(wait_until_calm(instance));
        quiet.add(TRY(measure_other_user(instance, lookups, allocations)));
        auto attackers = TRY(Attackers::start(attack, instance.socket(), attacker));
        attacked.add(TRY(measure_other_user(instance, lookups, allocations)));
    }
    return wait_until_calm(instance);
}

Result<double> log_lines_of(const Instance& instance, size_t before, const Rounds& rounds) {
    size_t lines = TRY(instance.log_lines()) - before;
    return static_cast<double>(lines) / static_cast<double>(rounds.lookups.size());
}

// An instance for each attack: none has to live with what another one left.
Status measure_attack(Setting& setting, const Attack& attack, const std::optional<Table::AttackBudget>& budget) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    size_t lines_before = TRY(instance.log_lines());
    Rounds quiet, attacked;
    Status measured = measure_rounds(setting, instance, attack, quiet, attacked);
    auto& table = setting.table;
    table.compare_attack(fmt::format("{}: GetMemberships", attack.what), quiet.lookups, attacked.lookups, budget);
    table.compare_attack("    AllocateUserRange", quiet.allocations, attacked.allocations, budget);
    if (attacked.failed > 0)
        table.note(
            fmt::format("{} of these calls failed or took more than {} s", attacked.failed, kPatienceUsec / 1'000'000));
    if (attack.act == make_calls_fail)
        table.figure("    lines in the log, for each round", TRY(log_lines_of(instance, lines_before, quiet)), "",
                     Budget{.value = kMaxLogLines});
    if (!measured) table.fail(attack.what, measured.error().what());
    return instance.stop();
}

}  // namespace

Status measure_hostile_calls(Setting& setting) {
    setting.table.print_section("Another user's calls on fresh connections, quiet and under attack, µs");
    setting.table.print_head_of_attacks();
    for (const Attack& hog : kHogs) TRY(measure_attack(setting, hog, std::nullopt));
    for (const Attack& attack : kAttacks) TRY(measure_attack(setting, attack, kBudget));
    return {};
}

}  // namespace nsr::bench
