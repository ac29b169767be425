// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/family.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_map>

namespace nsr::ctl {

namespace {

using registry::Delegation;
using registry::Registration;
// More than user namespaces can be nested (create_user_ns() in the kernel).
constexpr size_t kMaxDepth = 40;

/// Of those who have had the range, the last one before `child` that is registered.
std::optional<NsInode> giver(const Delegation& delegation, NsInode child, const Kin& kin) {
    std::vector<NsInode> holders = delegation.ancestors;
    holders.push_back(delegation.userns);
    holders.erase(std::ranges::find(holders, child), holders.end());
    while (!holders.empty() && !kin.is_registered(holders.back())) holders.pop_back();
    if (holders.empty()) return std::nullopt;
    return holders.back();
}

bool has_held(const Delegation& delegation, NsInode userns) {
    return delegation.userns == userns || std::ranges::find(delegation.ancestors, userns) != delegation.ancestors.end();
}

using Children = std::unordered_map<NsInode, std::vector<size_t>>;

struct Drawing {
    std::string_view child, last_child, below, below_last;
};
constexpr Drawing kAscii{"|-", "`-", "| ", "  "};
constexpr Drawing kUnicode{"├─", "└─", "│ ", "  "};

void append_family(std::vector<TreeLine>& lines, std::span<const Registration> registrations, const Children& children,
                   const Drawing& drawing, size_t index, const std::string& before) {
    const auto found = children.find(registrations[index].userns.inode);
    if (found == children.end()) return;
    for (const size_t child : found->second) {
        const bool is_last = child == found->second.back();
        lines.push_back({child, before + std::string(is_last ? drawing.last_child : drawing.child)});
        append_family(lines, registrations, children, drawing, child,
                      before + std::string(is_last ? drawing.below_last : drawing.below));
    }
}

}  // namespace

std::optional<NsInode> parent_of(const Registration& registration, const Kin& kin) {
    const NsInode own = registration.userns.inode;
    if (registration.is_transient()) {
        auto delegation = kin.delegation_at(registration.range->start);
        if (auto parent = delegation ? giver(*delegation, own, kin) : std::nullopt) return parent;
    }
    for (const auto& delegate : registration.delegates) {
        auto delegation = kin.delegation_at(delegate.start);
        if (!delegation || !has_held(*delegation, own)) continue;
        if (auto parent = giver(*delegation, own, kin)) return parent;
    }
    return std::nullopt;
}

std::vector<std::optional<NsInode>> parents_of(std::span<const Registration> registrations,
                                               std::span<const Delegation> delegations) {
    std::unordered_map<Uid, const Delegation*> by_start;
    for (const auto& delegation : delegations) by_start.emplace(delegation.start, &delegation);
    std::unordered_map<NsInode, size_t> index_of;
    for (size_t i = 0; i < registrations.size(); ++i) index_of.emplace(registrations[i].userns.inode, i);
    const Kin kin{[&](Uid start) {
                      auto found = by_start.find(start);
                      return found == by_start.end() ? std::nullopt : std::optional(*found->second);
                  },
                  [&](NsInode inode) { return index_of.contains(inode); }};

    std::vector<std::optional<NsInode>> parents;
    parents.reserve(registrations.size());
    for (const auto& registration : registrations) parents.push_back(parent_of(registration, kin));
    for (size_t i = 0; i < parents.size(); ++i) {
        size_t depth = 0;
        for (auto above = parents[i]; above && depth <= kMaxDepth; ++depth) above = parents[index_of.at(*above)];
        // Files that contradict each other can make a circle, which has no beginning to be drawn from.
        if (depth > kMaxDepth) parents[i] = std::nullopt;
    }
    return parents;
}

Branches branches_of_locale() {
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = ::getenv(variable);
        if (value == nullptr || *value == '\0') continue;
        std::string locale(value);
        std::ranges::transform(locale, locale.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
        return locale.contains("utf-8") || locale.contains("utf8") ? Branches::kUnicode : Branches::kAscii;
    }
    return Branches::kAscii;
}

std::vector<TreeLine> tree_lines(std::span<const Registration> registrations,
                                 std::span<const std::optional<NsInode>> parents, Branches branches) {
    Children children;
    for (size_t i = 0; i < registrations.size(); ++i)
        if (parents[i]) children[*parents[i]].push_back(i);
    const Drawing& drawing = branches == Branches::kUnicode ? kUnicode : kAscii;
    std::vector<TreeLine> lines;
    lines.reserve(registrations.size());
    for (size_t i = 0; i < registrations.size(); ++i) {
        if (parents[i]) continue;
        lines.push_back({i, ""});
        append_family(lines, registrations, children, drawing, i, "");
    }
    return lines;
}

}  // namespace nsr::ctl
