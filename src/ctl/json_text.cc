// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/json_text.h"

#include <boost/json.hpp>

#include "base/printable.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;

void append_pretty(std::string& text, const json::value& value, size_t indent);

/// The elements of an array or object, one a line; `append` writes one.
template <class Container, class Append>
void append_lines(std::string& text, const Container& container, size_t indent, const char* brackets, Append append) {
    text += brackets[0];
    const char* separator = "\n";
    for (const auto& element : container) {
        text += separator;
        text.append(indent + 2, ' ');
        append(element);
        separator = ",\n";
    }
    if (!container.empty()) text.append("\n").append(indent, ' ');
    text += brackets[1];
}

void append_pretty(std::string& text, const json::value& value, size_t indent) {
    if (const auto* array = value.if_array()) {
        append_lines(text, *array, indent, "[]", [&](const json::value& v) { append_pretty(text, v, indent + 2); });
    } else if (const auto* object = value.if_object()) {
        append_lines(text, *object, indent, "{}", [&](const json::key_value_pair& pair) {
            text += json::serialize(json::string(pair.key())) + ": ";
            append_pretty(text, pair.value(), indent + 2);
        });
    } else {
        text += json::serialize(value);
    }
}

}  // namespace

std::string json_text(const json::value& value, JsonMode mode) {
    if (mode != JsonMode::kPretty) return printable_json(json::serialize(value)) + '\n';
    std::string text;
    append_pretty(text, value, 0);
    return printable_json(text) + '\n';
}

}  // namespace nsr::ctl
