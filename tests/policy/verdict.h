// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "runner.h"
#include "table.h"

namespace nsr::channels {

/// What an attempt means for a case.
struct Verdict {
    enum class Word { kHeld, kLeak, kOdd, kAllowed, kRefused, kMissing, kDocumented };

    Word word;
    /// For people: what remains, which errno, why it is not applicable.
    std::string detail;
};

/// `remains` has what the attempt left on the file system.
Verdict judge(const Case& tried, const Attempt& attempt);
/// Is that what the run is to show?
bool as_expected(const Case& tried, const Verdict& verdict, Expect expect);
std::string_view text_of(Verdict::Word word);

}  // namespace nsr::channels
