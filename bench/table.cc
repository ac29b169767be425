// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace nsr::bench {

void Table::print_head() const {
    fmt::print("{:<50} {:>10} {:>10} {:>7}  {:<14} {:>10} {:>10}\n", "what", "floor µs", "ours µs", "ratio", "budget",
               "floor p99", "ours p99");
}

void Table::print_section(std::string_view title) const {
    fmt::print("\n{}\n", title);
    fflush(stdout);
}

std::string Table::judge(double value, std::optional<Budget> budget) {
    if (!budget) return "-";
    bool good = budget->kind == Budget::Kind::kAtMost ? value <= budget->value : value >= budget->value;
    if (!good) ++over_;
    return fmt::format("{} {:<6g} {}", budget->kind == Budget::Kind::kAtMost ? "<=" : ">=", budget->value,
                       good ? "ok" : "OVER");
}

void Table::print_row(std::string_view what, const Samples& first, const Samples& second, double ratio,
                      std::optional<Budget> budget) {
    fmt::print("{:<50} {:>10.1f} {:>10.1f} {:>7.2f}  {:<14} {:>10.1f} {:>10.1f}\n", what, first.p50(), second.p50(),
               ratio, judge(ratio, budget), first.p99(), second.p99());
    fflush(stdout);
}

void Table::compare(std::string_view what, const Samples& floor, const Samples& ours, std::optional<Budget> budget) {
    print_row(what, floor, ours, floor.p50() > 0 ? ours.p50() / floor.p50() : 0, budget);
}

void Table::compare_p99(std::string_view what, const std::vector<Samples>& without, const std::vector<Samples>& with,
                        std::optional<Budget> budget) {
    std::vector<double> ratios;
    Samples all_without, all_with;
    for (size_t i = 0; i < std::min(without.size(), with.size()); ++i) {
        ratios.push_back(with[i].p99() / without[i].p99());
        all_without.append(without[i]);
        all_with.append(with[i]);
    }
    if (ratios.empty()) return;
    std::ranges::sort(ratios);
    print_row(what, all_without, all_with, ratios[ratios.size() / 2], budget);
}

void Table::print_head_of_attacks() const {
    fmt::print("{:<50} {:>10} {:>11} {:>7} {:<4} {:>10} {:>11} {:>7} {:<4}\n", "what", "quiet p50", "under p50",
               "ratio", "", "quiet p99", "under p99", "ratio", "");
}

std::string_view Table::judge_attack(double quiet, double attacked, const std::optional<Ceiling>& ceiling) {
    if (!ceiling) return "-";
    if (attacked <= std::max(ceiling->ratio * quiet, ceiling->usec)) return "ok";
    ++over_;
    return "OVER";
}

void Table::compare_attack(std::string_view what, const std::vector<Samples>& quiet,
                           const std::vector<Samples>& attacked, const std::optional<AttackBudget>& budget) {
    auto median = [](const std::vector<Samples>& rounds, double share) {
        std::vector<double> values;
        for (const auto& round : rounds) values.push_back(round.percentile(share));
        std::ranges::sort(values);
        return values.empty() ? 0 : values[values.size() / 2];
    };
    fmt::print("{:<50}", what);
    for (double share : {0.5, 0.99}) {
        double without = median(quiet, share), with = median(attacked, share);
        auto ceiling = budget ? std::optional(share < 0.9 ? budget->p50 : budget->p99) : std::nullopt;
        fmt::print(" {:>10.1f} {:>11.1f} {:>7.2f} {:<4}", without, with, without > 0 ? with / without : 0,
                   judge_attack(without, with, ceiling));
    }
    fmt::print("\n");
    fflush(stdout);
}

void Table::fail(std::string_view what, std::string_view why) {
    ++over_;
    fmt::print("{:<50} not measured: {}  OVER\n", what, why);
    fflush(stdout);
}

void Table::figure(std::string_view what, double value, std::string_view unit, std::optional<Budget> budget) {
    fmt::print("{:<50} {:>29.3f}  {:<14} {}\n", what, value, judge(value, budget), unit);
    fflush(stdout);
}

void Table::note(std::string_view text) const {
    fmt::print("    {}\n", text);
    fflush(stdout);
}

}  // namespace nsr::bench
