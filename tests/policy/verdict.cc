// SPDX-License-Identifier: LGPL-2.1-or-later
#include "verdict.h"

#include "base/result.h"

namespace nsr::channels {

namespace {

using enum Verdict::Word;

Verdict judge_control(const Attempt& attempt) {
    if (!attempt.remains.empty()) return {kRefused, "leaves " + attempt.remains.front()};
    if (attempt.code == 0) return {kAllowed, ""};
    if (attempt.code == EBADMSG) return {kRefused, "the owner is another one than expected"};
    return {kRefused, errno_name(attempt.code)};
}

Verdict judge_documented(const Attempt& attempt) {
    if (!attempt.remains.empty()) return {kDocumented, attempt.remains.front()};
    // The document says something else.
    return {kOdd, attempt.code == 0 ? "nothing remains" : errno_name(attempt.code)};
}

Verdict judge_channel(const Case& tried, const Attempt& attempt) {
    if (!attempt.remains.empty())
        return {kLeak, attempt.remains.front() +
                           (attempt.remains.size() > 1 ? fmt::format(" and {} more", attempt.remains.size() - 1) : "")};
    if (attempt.code == 0 && tried.kind == Kind::kReport) return {kAllowed, ""};
    if (attempt.code == 0)
        return tried.judged_by_answer ? Verdict{kLeak, "it was allowed"}
                                      : Verdict{kOdd, "it was allowed, and nothing remains"};
    if (attempt.code == EPERM) return {kHeld, ""};
    for (const auto& [code, why] : tried.also)
        if (code == attempt.code) return {kHeld, fmt::format("{}: {}", errno_name(code), why)};
    return {kOdd, errno_name(attempt.code)};
}

}  // namespace

Verdict judge(const Case& tried, const Attempt& attempt) {
    if (!attempt.missing.empty()) return {kMissing, attempt.missing};
    if (tried.kind == Kind::kDocumented && attempt.wrong.empty()) return judge_documented(attempt);
    if (!attempt.wrong.empty()) return {tried.kind == Kind::kControl ? kRefused : kOdd, attempt.wrong};
    return tried.kind == Kind::kControl ? judge_control(attempt) : judge_channel(tried, attempt);
}

bool as_expected(const Case& tried, const Verdict& verdict, Expect expect) {
    if (tried.kind == Kind::kReport || verdict.word == kMissing) return true;
    if (tried.kind == Kind::kControl) return verdict.word == kAllowed;
    if (tried.kind == Kind::kDocumented) return verdict.word == kDocumented;
    if (expect == Expect::kHeld || !tried.refused_anyway.empty()) return verdict.word == kHeld;
    return verdict.word == kLeak;
}

std::string_view text_of(Verdict::Word word) {
    switch (word) {
        case kHeld:
            return "held";
        case kLeak:
            return "LEAK";
        case kOdd:
            return "ODD";
        case kAllowed:
            return "allowed";
        case kRefused:
            return "REFUSED";
        case kMissing:
            return "n/a";
        case kDocumented:
            return "document";
    }
    return "?";
}

}  // namespace nsr::channels
