// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/findings.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/printable.h"
#include "ranges/pool.h"

namespace nsr::reclaim {

namespace {

/// Of an example or a problem: a path may be as long as its maker likes.
constexpr size_t kMaxText = 1024;

std::string shortened(std::string text) {
    if (text.size() <= kMaxText) return text;
    return fmt::format("{}...{}", first_bytes(text, kMaxText / 2), last_bytes(text, kMaxText / 2));
}

std::optional<uint64_t> take_number(std::string_view& text) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
    return number;
}

}  // namespace

void Findings::add(std::span<const uint32_t> ids, const Where& where) {
    std::vector<Uid> starts;
    for (uint32_t id : ids)
        if (auto start = ranges::range_start_of(id); start && std::ranges::find(starts, *start) == starts.end())
            starts.push_back(*start);
    for (Uid start : starts) {
        Holder& holder = holders_[start];
        holder.count++;
        if (holder.examples.size() < kExamples) holder.examples.push_back(shortened(unambiguous(where())));
    }
}

void Findings::add_problem(std::string_view what) { add_problem_text(unambiguous(what)); }

void Findings::add_problem_text(std::string text) {
    if (problems_.size() < kProblems) problems_.push_back(shortened(std::move(text)));
}

void Findings::add_all(const Findings& other) {
    for (const auto& [start, theirs] : other.holders_) {
        Holder& holder = holders_[start];
        holder.count += theirs.count;
        for (const auto& example : theirs.examples)
            if (holder.examples.size() < kExamples) holder.examples.push_back(example);
    }
    for (const auto& problem : other.problems_) add_problem_text(problem);
}

void Findings::add_missing(const Findings& other) {
    for (const auto& [start, holder] : other.holders_) holders_.try_emplace(start, holder);
    for (const auto& problem : other.problems_) add_problem_text(problem);
}

std::string Findings::to_lines() const {
    std::string lines;
    for (const auto& [start, holder] : holders_) {
        lines += fmt::format("H {} {}\n", start, holder.count);
        for (const auto& example : holder.examples) lines += fmt::format("X {} {}\n", start, example);
    }
    for (const auto& problem : problems_) lines += fmt::format("P {}\n", problem);
    return lines;
}

Status Findings::add_line(std::string_view line) {
    if (line.size() < 2 || line[1] != ' ') return fail(EBADMSG, "a line of findings that makes no sense");
    char kind = line[0];
    line.remove_prefix(2);
    if (kind == 'P') return add_problem_text(std::string(line)), Status();
    auto id = take_number(line);
    auto start = id && *id <= UINT32_MAX ? ranges::range_start_of(static_cast<uint32_t>(*id)) : std::nullopt;
    if (!start || start->value != *id) return fail(EBADMSG, "findings about no range");
    Holder& holder = holders_[*start];
    if (kind == 'H') {
        auto count = take_number(line);
        if (!count) return fail(EBADMSG, "findings without a count");
        holder.count += *count;
    } else if (kind == 'X') {
        if (holder.examples.size() < kExamples) holder.examples.emplace_back(line);
    } else {
        return fail(EBADMSG, "findings of an unknown kind");
    }
    return {};
}

}  // namespace nsr::reclaim
