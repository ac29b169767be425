// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/reclaim_report.h"

#include <boost/json.hpp>

#include "ranges/pool.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;

uint32_t size_of(Uid start) {
    const auto* pool = ranges::pool_of_id(start.value);
    return pool ? pool->size : 0;
}

std::string range_text(Uid start) {
    uint32_t size = size_of(start);
    return size == 1 ? fmt::format("{}", start) : fmt::format("{}-{}", start, start.value + size - 1);
}

template <class Starts>
json::array range_array(const Starts& starts) {
    json::array array;
    for (Uid start : starts) array.push_back(json::object{{"start", start.value}, {"size", size_of(start)}});
    return array;
}

/// What people are told of at most; programs get all.
constexpr size_t kMaxShown = 20;

template <class Starts>
std::string ranges_text(const char* what, const Starts& starts) {
    if (starts.empty()) return fmt::format("{}: none\n", what);
    std::string text = fmt::format("{}: {}:", what, starts.size());
    size_t shown = 0;
    for (Uid start : starts)
        if (shown++ < kMaxShown) text += " " + range_text(start);
    return text + (starts.size() > kMaxShown ? " ...\n" : "\n");
}

std::string held_text(const ReclaimReport& report) {
    std::string text;
    size_t held = 0;
    for (const auto& [start, holder] : report.survey.findings.holders()) {
        if (!report.is_used(start) || held++ >= kMaxShown) continue;
        text += fmt::format("  {} by {}:\n", range_text(start), holder.count);
        for (const auto& example : holder.examples) text += fmt::format("    {}\n", example);
        if (holder.count > holder.examples.size()) text += "    ...\n";
    }
    if (held > kMaxShown) text += "  ...\n";
    return fmt::format("Still held: {}\n", held == 0 ? "none" : fmt::format("{}", held)) + text;
}

std::string problems_text(const ReclaimReport& report) {
    const auto& problems = report.survey.findings.problems();
    if (problems.empty()) return {};
    std::string text = "Not everything could be looked at, so nothing was freed:\n";
    for (size_t i = 0; i < problems.size() && i < kMaxShown; i++) text += fmt::format("  {}\n", problems[i]);
    return text + (problems.size() > kMaxShown ? "  ...\n" : "");
}

}  // namespace

json::object to_json(const ReclaimReport& report) {
    json::array held;
    for (const auto& [start, holder] : report.survey.findings.holders()) {
        if (!report.is_used(start)) continue;
        json::array examples(holder.examples.begin(), holder.examples.end());
        held.push_back(json::object{
            {"start", start.value}, {"size", size_of(start)}, {"count", holder.count}, {"examples", examples}});
    }
    const auto& problems = report.survey.findings.problems();
    bool dry = report.verb.change == ReclaimVerb::Change::kNone;
    return {{"dryRun", dry},
            {"complete", problems.empty() && !report.is_partial()},
            {"inodes", report.survey.inodes},
            {"fileSystems", report.survey.file_systems},
            {"used", report.used()},
            {"inUse", report.ledger.in_use()},
            {"freed", range_array(report.outcome.freed)},
            {"afterNextBoot", range_array(report.ledger.used_in_this_boot())},
            {"marked", range_array(report.outcome.marked)},
            {"held", std::move(held)},
            {"problems", json::array(problems.begin(), problems.end())}};
}

std::string to_text(const ReclaimReport& report) {
    bool dry = report.verb.change == ReclaimVerb::Change::kNone;
    std::string text = fmt::format("Looked at {} inodes on {} file systems; {} used ranges that no namespace has.\n",
                                   report.survey.inodes, report.survey.file_systems, report.used());
    text += held_text(report);
    if (!report.outcome.marked.empty())
        text +=
            ranges_text(dry ? "Found in use, would be marked" : "Found in use, marked as used", report.outcome.marked);
    if (!report.ledger.used_in_this_boot().empty())
        text += ranges_text("Used in this boot, can be freed after the next boot", report.ledger.used_in_this_boot());
    text += problems_text(report);
    if (report.is_partial())
        text +=
            "Nothing was freed: only the file systems of the given paths were looked at. If you know that no others "
            "carry such ids: --trust-others.\n";
    else if (report.survey.findings.problems().empty())
        text += ranges_text(dry ? "Would be freed" : "Freed", report.outcome.freed);
    return text + "File systems that are not mounted now were not looked at.\n";
}

}  // namespace nsr::ctl
