// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/id_map.h"

#include <charconv>

namespace nsr::namespaces {

namespace {

Result<uint32_t> take_number(std::string_view& line) {
    size_t start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) return fail(EBADMSG, "number missing in id map");
    line.remove_prefix(start);
    uint32_t number = 0;
    auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (code != std::errc()) return fail(EBADMSG, "bad number in id map");
    line.remove_prefix(static_cast<size_t>(end - line.data()));
    return number;
}

}  // namespace

Result<IdMap> parse_id_map(std::string_view text) {
    IdMap map;
    while (!text.empty()) {
        size_t end = text.find('\n');
        if (end == std::string_view::npos) return fail(EBADMSG, "id map ends in the middle of a line");
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        IdMapLine entry;
        entry.inside = TRY(take_number(line));
        entry.outside = TRY(take_number(line));
        entry.count = TRY(take_number(line));
        if (line.find_first_not_of(' ') != std::string_view::npos) return fail(EBADMSG, "surplus text in id map");
        map.push_back(entry);
    }
    return map;
}

bool has_overlap(const IdMap& map) {
    auto meet = [](uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count) {
        return uint64_t{a} < uint64_t{b} + b_count && uint64_t{b} < uint64_t{a} + a_count;
    };
    for (size_t i = 0; i < map.size(); ++i)
        for (size_t j = 0; j < i; ++j)
            if (meet(map[i].inside, map[i].count, map[j].inside, map[j].count) ||
                meet(map[i].outside, map[i].count, map[j].outside, map[j].count))
                return true;
    return false;
}

std::string format_id_map(const IdMap& map) {
    std::string text;
    for (const auto& line : map) text += fmt::format("{} {} {}\n", line.inside, line.outside, line.count);
    return text;
}

}  // namespace nsr::namespaces
