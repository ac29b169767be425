// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cerrno>

#include "base/result.h"

namespace nsr {

/// Whether an errno value says that the system is short of something at this moment, or was interrupted: the same call
/// may succeed at once, or later.
constexpr bool is_shortage(int code) {
    return code == ENOMEM || code == EMFILE || code == ENFILE || code == ENOBUFS || code == EAGAIN || code == EINTR;
}

/// Calls a function that gives a Result again, a few times at most, while it fails for a shortage.
template <class Function>
auto retry_shortage(Function function) {
    constexpr int kAttempts = 3;
    auto outcome = function();
    for (int i = 1; i < kAttempts && !outcome && is_shortage(outcome.error().code()); ++i) outcome = function();
    return outcome;
}

}  // namespace nsr
