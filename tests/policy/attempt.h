// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace nsr::channels {

/// What came of trying something. `code` is 0 or an errno value.
struct Attempt {
    int code = 0;
    /// Not empty: it cannot be tried here, and this is why.
    std::string missing;
    /// Objects with transient ids that the case itself found afterwards; files are looked for by others.
    std::vector<std::string> remains;
    /// Not empty: it was allowed, and did something else than it should have.
    std::string wrong;
};

/// 0, or the errno value of a system call that answers negative numbers.
inline int code_of(long result) { return result < 0 ? errno : 0; }

/// A code that says that the kernel or the file system has no such thing, which tells nothing about the policy.
constexpr int lacking(int code) { return -code; }

Attempt tried(int code);
Attempt tried(int code, std::vector<std::string> remains);
Attempt not_here(std::string why);
Attempt went_wrong(std::string what);

/// Of several attempts each of which has to be refused: 0 if one went through, EPERM if all got that, else what it was
/// that one of them got.
class Refusals {
public:
    void add(int code);
    int code() const { return passed_ ? 0 : other_ != 0 ? other_ : EPERM; }

private:
    bool passed_ = false;
    int other_ = 0;
};

}  // namespace nsr::channels
