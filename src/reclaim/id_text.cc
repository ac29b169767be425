// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/id_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "ranges/pool.h"

namespace nsr::reclaim {

namespace {

constexpr std::string_view kSpace = " \t";

std::optional<uint32_t> to_id(std::string_view word) {
    uint32_t id = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return id;
}

void append_id(std::vector<uint32_t>& ids, std::string_view word) {
    if (auto id = to_id(word)) ids.push_back(*id);
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (size_t at = 0; (at = text.find_first_not_of(kSpace, at)) != std::string_view::npos;) {
        size_t end = std::min(text.find_first_of(kSpace, at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::vector<uint32_t> ids_of_status(std::string_view text) {
    std::vector<uint32_t> ids;
    for (std::string_view line : lines_of(text))
        if (line.starts_with("Uid:") || line.starts_with("Gid:") || line.starts_with("Groups:"))
            for (std::string_view word : words_of(line.substr(line.find(':') + 1))) append_id(ids, word);
    return ids;
}

std::vector<std::vector<uint32_t>> ids_of_ipc_table(std::string_view text) {
    constexpr std::array<std::string_view, 4> kColumns{"uid", "gid", "cuid", "cgid"};
    std::vector<std::vector<uint32_t>> objects;
    std::vector<size_t> columns;
    for (std::string_view line : lines_of(text)) {
        auto words = words_of(line);
        if (columns.empty()) {
            for (size_t i = 0; i < words.size(); i++)
                if (std::ranges::find(kColumns, words[i]) != kColumns.end()) columns.push_back(i);
            continue;
        }
        std::vector<uint32_t> ids;
        for (size_t column : columns)
            if (column < words.size()) append_id(ids, words[column]);
        objects.push_back(std::move(ids));
    }
    return objects;
}

// "uid: usage keys/instantiated …"
std::vector<uint32_t> ids_of_key_users(std::string_view text) {
    std::vector<uint32_t> ids;
    for (std::string_view line : lines_of(text)) {
        auto words = words_of(line);
        if (words.size() < 3 || !words[0].ends_with(':') || words[2].starts_with("0/")) continue;
        append_id(ids, words[0].substr(0, words[0].size() - 1));
    }
    return ids;
}

// "serial flags usage timeout permissions uid gid type description"
std::vector<uint32_t> ids_of_keys(std::string_view text) {
    std::vector<uint32_t> ids;
    for (std::string_view line : lines_of(text)) {
        auto words = words_of(line);
        if (words.size() < 8) continue;
        append_id(ids, words[5]);
        append_id(ids, words[6]);
    }
    return ids;
}

std::vector<uint32_t> ids_of_map(std::string_view text) {
    std::vector<uint32_t> ids;
    for (std::string_view line : lines_of(text)) {
        auto words = words_of(line);
        if (words.size() != 3) continue;
        auto first = to_id(words[1]), count = to_id(words[2]);
        if (!first || !count || *count == 0) continue;
        uint64_t last = uint64_t{*first} + *count - 1;
        for (const auto* pool : {&ranges::kContainerPool, &ranges::kDynamicPool}) {
            if (last < pool->first || *first > pool->last || (*first <= pool->first && last >= pool->last)) continue;
            uint64_t from = (std::max(*first, pool->first) - pool->first) / pool->size;
            uint64_t to = (std::min<uint64_t>(last, pool->last) - pool->first) / pool->size;
            for (uint64_t index = from; index <= to; index++)
                ids.push_back(pool->start_of(static_cast<uint32_t>(index)).value);
        }
    }
    return ids;
}

}  // namespace nsr::reclaim
