// SPDX-License-Identifier: LGPL-2.1-or-later
#include "attempt.h"

#include "base/result.h"

namespace nsr::channels {

Attempt tried(int code) {
    if (code < 0) return not_here(fmt::format("the kernel answers {}", errno_name(-code)));
    return {.code = code, .missing = {}, .remains = {}, .wrong = {}};
}

Attempt tried(int code, std::vector<std::string> remains) {
    Attempt attempt = tried(code);
    attempt.remains = std::move(remains);
    return attempt;
}

Attempt not_here(std::string why) { return {.code = 0, .missing = std::move(why), .remains = {}, .wrong = {}}; }

Attempt went_wrong(std::string what) { return {.code = 0, .missing = {}, .remains = {}, .wrong = std::move(what)}; }

void Refusals::add(int code) {
    if (code == 0)
        passed_ = true;
    else if (code != EPERM)
        other_ = code;
}

}  // namespace nsr::channels
