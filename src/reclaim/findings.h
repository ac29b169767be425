// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

/// Looking for what still carries ids of the pools, so that ranges can be used again (doc/decisions/reclaim.md).
namespace nsr::reclaim {

/// What was found, and what could not be looked at.
class Findings {
public:
    static constexpr size_t kExamples = 3;
    static constexpr size_t kProblems = 100;

    struct Holder {
        uint64_t count = 0;
        std::vector<std::string> examples;  ///< unambiguous() in base/printable.h; at most kExamples
    };
    using Where = std::function<std::string()>;

    /// One object that carries these ids; those of no pool do not matter. `where` is asked for an example only.
    void add(std::span<const uint32_t> ids, const Where& where);
    /// Why nothing can be said to be clean. Only so many are kept; all of them count.
    void add_problem(std::string_view what);
    void add_all(const Findings& other);
    /// What the other one found in ranges where this one found nothing, and its problems.
    void add_missing(const Findings& other);

    const std::map<Uid, Holder>& holders() const { return holders_; }
    const std::vector<std::string>& problems() const { return problems_; }

    /// Lines of text, for another process, and one of them read; EBADMSG.
    std::string to_lines() const;
    Status add_line(std::string_view line);

private:
    void add_problem_text(std::string text);

    std::map<Uid, Holder> holders_;  ///< by the start of the range
    std::vector<std::string> problems_;
};

}  // namespace nsr::reclaim
