// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "samples.h"

namespace nsr::bench {

/// What a figure may be, at most or at least.
struct Budget {
    enum class Kind { kAtMost, kAtLeast } kind = Kind::kAtMost;
    double value = 0;
};

/// Of what is measured quiet and under attack: at most so many times the quiet value, or at most so much, whichever is
/// more.
struct Ceiling {
    double ratio;
    double usec;
};

/// Prints the results as they come, one line each, and counts those that are over budget.
class Table {
public:
    void print_head() const;
    void print_section(std::string_view title) const;
    /// Medians and 99th percentiles, and the ratio of the medians.
    void compare(std::string_view what, const Samples& floor, const Samples& ours, std::optional<Budget> budget);
    /// The same for two things that were measured in turn, round by round: the ratio is that of the 99th percentiles of
    /// a round, and of the rounds the median, so that a disturbance of one of them does not count.
    void compare_p99(std::string_view what, const std::vector<Samples>& without, const std::vector<Samples>& with,
                     std::optional<Budget> budget);
    void print_head_of_attacks() const;
    /// Rounds of the same call, quiet and under attack: the medians of the rounds' medians and 99th percentiles.
    /// Without ceilings for these two there is no budget.
    struct AttackBudget {
        Ceiling p50, p99;
    };
    void compare_attack(std::string_view what, const std::vector<Samples>& quiet, const std::vector<Samples>& attacked,
                        const std::optional<AttackBudget>& budget);
    /// What could not be measured at all is over budget.
    void fail(std::string_view what, std::string_view why);
    /// One figure that stands for itself, such as "3.2 MiB".
    void figure(std::string_view what, double value, std::string_view unit, std::optional<Budget> budget);
    /// A line of text below the last row.
    void note(std::string_view text) const;

    size_t over_budget() const { return over_; }

private:
    std::string judge(double value, std::optional<Budget> budget);
    std::string_view judge_attack(double quiet, double attacked, const std::optional<Ceiling>& ceiling);
    void print_row(std::string_view what, const Samples& first, const Samples& second, double ratio,
                   std::optional<Budget> budget);

    size_t over_ = 0;
};

}  // namespace nsr::bench
