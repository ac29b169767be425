// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/fd.h"
#include "child.h"
#include "instance.h"
#include "samples.h"

namespace nsr::bench {

/// A process of another user's that takes one name again and again: each time for a new namespace, when the one before
/// is dead.
class NameTaker {
public:
    static Result<NameTaker> start(const Instance& instance);

    /// Ends it. How long each time took, from the moment when the namespace before lost its last descriptor.
    Result<Samples> stop();

private:
    NameTaker(Child child, UniqueFd results) : child_(std::move(child)), results_(std::move(results)) {}

    Child child_;
    UniqueFd results_;
};

}  // namespace nsr::bench
