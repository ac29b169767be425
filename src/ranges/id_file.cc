// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/id_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace nsr::ranges {

namespace {

constexpr uint64_t kLastId = kAllIds.last;
constexpr std::string_view kOurPrefix = "ns-";

/// Takes off what comes before the separator; the rest is empty after the last piece.
std::string_view take_piece(std::string_view& rest, char separator) {
    size_t end = rest.find(separator);
    std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return piece;
}

/// Plain decimal; what does not fit is the largest number.
std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
    return error == std::errc{} ? value : std::numeric_limits<uint64_t>::max();
}

}  // namespace

IdTable IdTable::parse(std::string_view text, Format format) {
    IdTable table;
    while (!text.empty()) table.add_line(take_piece(text, '\n'), format);
    table.tidy();
    return table;
}

void IdTable::add_line(std::string_view line, Format format) {
    if (line.starts_with('#')) return;
    std::array<std::string_view, 4> fields;
    for (std::string_view& field : fields) field = take_piece(line, ':');
    if (fields[0].empty()) return;

    if (format == Format::kSubordinates) {
        auto first = number(fields[1]), count = number(fields[2]);
        if (first && count) add_ids(*first, *count);
        return;
    }
    auto id = number(fields[2]);
    if (!id) return;
    add_ids(*id, 1);
    if (fields[0].starts_with(kOurPrefix)) names_.emplace_back(fields[0]);
    if (format != Format::kUsers) return;
    // A primary group need not be in the group file for files to belong to it.
    if (auto gid = number(fields[3])) add_ids(*gid, 1);
}

void IdTable::add_ids(uint64_t first, uint64_t count) {
    if (first > kLastId || count == 0) return;
    uint64_t last = count - 1 > kLastId - first ? kLastId : first + (count - 1);
    ids_.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(last)});
}

void IdTable::tidy() {
    std::ranges::sort(names_);
    std::ranges::sort(ids_, {}, &IdInterval::first);
    std::vector<IdInterval> apart;
    for (IdInterval next : ids_) {
        if (!apart.empty() && next.first <= apart.back().last)
            apart.back().last = std::max(apart.back().last, next.last);
        else
            apart.push_back(next);
    }
    ids_ = std::move(apart);
}

bool IdTable::overlaps(IdInterval ids) const {
    // They are apart, so their ends are sorted too: the first that ends late enough is the only one to look at.
    auto candidate = std::ranges::lower_bound(ids_, ids.first, {}, &IdInterval::last);
    return candidate != ids_.end() && candidate->first <= ids.last;
}

bool IdTable::has_account(std::string_view name) const {
    return std::ranges::binary_search(names_, name, {}, [](const std::string& s) { return std::string_view(s); });
}

Result<const IdTable*> IdFile::current() {
    if (auto content = TRY(file_.content_if_changed())) table_ = IdTable::parse(*content, format_);
    return &table_;
}

}  // namespace nsr::ranges
