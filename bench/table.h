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
    /// One figure that stands for itself, such as "3.2 MiB".
    void figure(std::string_view what, double value, std::string_view unit, std::optional<Budget> budget);
    /// A line of text below the last row.
    void note(std::string_view text) const;

    size_t over_budget() const { return over_; }

private:
    std::string judge(double value, std::optional<Budget> budget);
    void print_row(std::string_view what, const Samples& first, const Samples& second, double ratio,
                   std::optional<Budget> budget);

    size_t over_ = 0;
};

}  // namespace nsr::bench
