// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsr::ctl {

/// Text in columns, with a line of headers, for fixed-width fonts.
class Table {
public:
    enum class Align { kLeft, kRight };
    struct Column {
        std::string_view header;
        Align align;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    /// One cell a column, made printable (base/printable.h); missing ones at the end stay empty.
    void add(std::vector<std::string> row);
    /// Lines without white space at their end.
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// "key: value" lines, the colons below each other. Keys and values are made printable (base/printable.h).
std::string pairs_text(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace nsr::ctl
