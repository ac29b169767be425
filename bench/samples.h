// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nsr::bench {

/// CLOCK_MONOTONIC, in nanoseconds.
uint64_t now_nsec();

/// How long one thing took, many times over. Figures are in microseconds, and 0 where there is no sample.
class Samples {
public:
    /// Runs `step` and keeps how long it took, unless it failed.
    template <class Step>
    auto time(Step&& step) {
        uint64_t begin = now_nsec();
        auto result = step();
        uint64_t end = now_nsec();
        if (result) nsec_.push_back(end - begin);
        return result;
    }

    void add(double seconds);
    void append(const Samples& other);
    size_t count() const { return nsec_.size(); }
    /// `share` from 0 to 1: the least value that this share of the samples does not exceed.
    double percentile(double share) const;
    double p50() const { return percentile(0.5); }
    double p99() const { return percentile(0.99); }
    double mean() const;

private:
    std::vector<uint64_t> nsec_;
};

}  // namespace nsr::bench
