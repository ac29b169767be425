// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/printable.h"

namespace nsr::ctl {

namespace {

void end_line(std::string& text) {
    text.resize(text.find_last_not_of(' ') + 1);
    text += '\n';
}

}  // namespace

void Table::add(std::vector<std::string> row) {
    row.resize(columns_.size());
    for (auto& cell : row) cell = printable(cell);
    rows_.push_back(std::move(row));
}

std::string Table::text() const {
    std::vector<std::string> lines(rows_.size() + 1);
    for (size_t i = 0; i < columns_.size(); ++i) {
        size_t width = columns_[i].header.size();
        for (const auto& row : rows_) width = std::max(width, columns_of(row[i]));
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
    for (const auto& [key, value] : pairs) width = std::max(width, columns_of(printable(key)));
    std::string text;
    for (const auto& [key, value] : pairs) {
        const std::string shown = printable(key);
        text += fmt::format("{:{}}{}: {}\n", "", width - columns_of(shown), shown, printable(value));
    }
    return text;
}

}  // namespace nsr::ctl
