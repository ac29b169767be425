// SPDX-License-Identifier: LGPL-2.1-or-later
#include "samples.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>

namespace nsr::bench {

uint64_t now_nsec() {
    struct timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void Samples::add(double seconds) { nsec_.push_back(static_cast<uint64_t>(seconds * 1e9)); }

void Samples::append(const Samples& other) { nsec_.insert(nsec_.end(), other.nsec_.begin(), other.nsec_.end()); }

double Samples::percentile(double share) const {
    if (nsec_.empty()) return 0;
    std::vector<uint64_t> sorted = nsec_;
    auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    size_t index = std::clamp<size_t>(rank, 1, sorted.size()) - 1;
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(index));
    return static_cast<double>(sorted[index]) / 1000;
}

double Samples::mean() const {
    if (nsec_.empty()) return 0;
    return std::accumulate(nsec_.begin(), nsec_.end(), 0.0) / static_cast<double>(nsec_.size()) / 1000;
}

}  // namespace nsr::bench
