// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/parent_view.h"

#include <algorithm>

#include "service/request.h"

namespace nsr::service {

namespace {

using ranges::IdInterval;

std::vector<IdInterval> one_to_one_lines(const namespaces::IdMap& map) {
    std::vector<IdInterval> intervals;
    for (const auto& line : map)
        if (line.inside == line.outside && line.count > 0)
            intervals.push_back({line.inside, line.inside + (line.count - 1)});
    return intervals;
}

std::vector<IdInterval> intersect(const std::vector<IdInterval>& left, const std::vector<IdInterval>& right) {
    std::vector<IdInterval> common;
    for (const auto& a : left)
        for (const auto& b : right) {
            uint32_t first = std::max(a.first, b.first), last = std::min(a.last, b.last);
            if (first <= last) common.push_back({first, last});
        }
    return common;
}

std::optional<uint32_t> to_inside(const namespaces::IdMap& map, uint32_t outside) {
    for (const auto& line : map)
        if (outside >= line.outside && outside - line.outside < line.count)
            return line.inside + (outside - line.outside);
    return std::nullopt;
}

}  // namespace

OrFault<ParentView> ParentView::of(const Context& context, const namespaces::UserNamespace& userns) {
    // A namespace that is not below the service's own is not the service's to decide about.
    auto above = userns.parent();
    if (!above) return refuse_parameter(kUserNamespaceField);
    bool is_own = above->identity() == context.own.identity();
    ParentView view(std::move(*above), is_own);
    if (is_own) {
        view.one_to_one_ = {ranges::kAllIds};
        return view;
    }
    view.maps_ = TRY_SYSTEM(namespaces::read_maps(view.userns_));
    view.one_to_one_ = intersect(one_to_one_lines(view.maps_.uids), one_to_one_lines(view.maps_.gids));
    return view;
}

bool ParentView::maps_one_to_one(uint32_t start, uint32_t size) const {
    return std::ranges::any_of(one_to_one_, [&](const IdInterval& interval) {
        return start >= interval.first && start <= interval.last && size - 1 <= interval.last - start;
    });
}

std::optional<Uid> ParentView::inside(Uid outside) const {
    if (is_own_) return outside;
    auto id = to_inside(maps_.uids, outside.value);
    return id ? std::optional(Uid(*id)) : std::nullopt;
}

std::optional<Gid> ParentView::inside(Gid outside) const {
    if (is_own_) return outside;
    auto id = to_inside(maps_.gids, outside.value);
    return id ? std::optional(Gid(*id)) : std::nullopt;
}

}  // namespace nsr::service
