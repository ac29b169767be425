// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/table.h"

#include <algorithm>

#include <fmt/format.h>

namespace nsr::ctl {

namespace {

void end_line(std::string& text) {
    text.resize(text.find_last_not_of(' ') + 1);
    text += '\n';
}

/// How many columns a text takes on the terminal: names are ASCII, and each sign of a tree is one wide.
size_t width_of(std::string_view text) {
    auto begins_character = [](char c) { return (c & 0xC0) != 0x80; };
    return static_cast<size_t>(std::ranges::count_if(text, begins_character));
}

/// Some values come from whoever answers at the socket: they must not send commands to the terminal.
std::string harmless(std::string text) {
    auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
    std::ranges::replace_if(text, is_control, '?');
    return text;
}

}  // namespace

void Table::add(std::vector<std::string> row) {
    row.resize(columns_.size());
    rows_.push_back(std::move(row));
}

std::string Table::text() const {
    std::vector<std::string> lines(rows_.size() + 1);
    for (size_t i = 0; i < columns_.size(); ++i) {
        size_t width = columns_[i].header.size();
        for (const auto& row : rows_) width = std::max(width, width_of(row[i]));
        for (size_t line = 0; line < lines.size(); ++line) {
            std::string_view cell = line == 0 ? columns_[i].header : std::string_view(rows_[line - 1][i]);
            if (i > 0) lines[line] += "  ";
            lines[line] += columns_[i].align == Align::kLeft ? fmt::format("{:<{}}", cell, width)
                                                             : fmt::format("{:>{}}", cell, width);
        }
    }
    std::string all;
    for (const auto& line : lines) {
        all += line;
        end_line(all);
    }
    return all;
}

std::string pairs_text(const std::vector<std::pair<std::string, std::string>>& pairs) {
    size_t width = 0;
    for (const auto& [key, value] : pairs) width = std::max(width, key.size());
    std::string text;
    for (const auto& [key, value] : pairs) text += fmt::format("{:>{}}: {}\n", key, width, harmless(value));
    return text;
}

}  // namespace nsr::ctl
