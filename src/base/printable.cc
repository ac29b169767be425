// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/printable.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/utf8.h"

namespace nsr {

namespace {

std::string hex_byte(char byte) { return fmt::format("\\x{:02x}", static_cast<unsigned char>(byte)); }

/// Copies the text; `is_kept` says which characters stay, and `escape` gives what stands for another one.
template <class IsKept, class Escape>
std::string replaced(std::string_view text, IsKept is_kept, Escape escape) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character character = first_character(text);
        if (character.code && is_kept(*character.code))
            out += text.substr(0, character.size);
        else
            out += escape(character, text[0]);
        text.remove_prefix(character.size);
    }
    return out;
}

std::string text_escape(const Character& character, char byte) {
    if (character.size == 1) return hex_byte(byte);
    return fmt::format("\\u{{{:x}}}", static_cast<uint32_t>(*character.code));
}

std::string json_escape(const Character& character, char byte) {
    if (!character.code) return "\\" + hex_byte(byte);
    const auto code = static_cast<uint32_t>(*character.code);
    if (code < 0x10000) return fmt::format("\\u{:04x}", code);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
}

/// As a terminal has it; what is not known to it has one column, like most.
size_t columns_of_character(const Character& character) {
    struct Span {
        char32_t first, last;
        size_t columns;
    };
    constexpr std::array kSpans{
        Span{0x0300, 0x036F, 0},   Span{0x0483, 0x0489, 0},  Span{0x0591, 0x05BD, 0},   Span{0x0610, 0x061A, 0},
        Span{0x064B, 0x065F, 0},   Span{0x1100, 0x115F, 2},  Span{0x1AB0, 0x1AFF, 0},   Span{0x1DC0, 0x1DFF, 0},
        Span{0x20D0, 0x20FF, 0},   Span{0x2E80, 0x303E, 2},  Span{0x3041, 0xA4CF, 2},   Span{0xA960, 0xA97F, 2},
        Span{0xAC00, 0xD7A3, 2},   Span{0xF900, 0xFAFF, 2},  Span{0xFE20, 0xFE2F, 0},   Span{0xFE30, 0xFE6F, 2},
        Span{0xFF01, 0xFF60, 2},   Span{0xFFE0, 0xFFE6, 2},  Span{0x1F300, 0x1F64F, 2}, Span{0x1F680, 0x1F6FF, 2},
        Span{0x1F900, 0x1FAFF, 2}, Span{0x20000, 0x3FFFD, 2}};
    const char32_t code = character.code.value_or(0);
    const auto* span = std::ranges::lower_bound(kSpans, code, {}, &Span::last);
    return span != kSpans.end() && span->first <= code ? span->columns : 1;
}

bool is_inside_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string printable(std::string_view text) {
    return replaced(text, [](char32_t code) { return !is_unsafe(code); }, text_escape);
}

std::string unambiguous(std::string_view text) {
    return replaced(text, [](char32_t code) { return code != '\\' && !is_unsafe(code); }, text_escape);
}

std::string printable_lines(std::string_view text) {
    return replaced(text, [](char32_t code) { return code == '\n' || !is_unsafe(code); }, text_escape);
}

// In JSON all but ASCII stands in strings, and a serializer has escaped the line feeds there.
std::string printable_json(std::string_view serialized) {
    return replaced(serialized, [](char32_t code) { return code == '\n' || !is_unsafe(code); }, json_escape);
}

size_t columns_of(std::string_view text) {
    size_t columns = 0;
    while (!text.empty()) {
        const Character character = first_character(text);
        columns += columns_of_character(character);
        text.remove_prefix(character.size);
    }
    return columns;
}

std::string_view first_columns(std::string_view text, size_t columns) {
    size_t bytes = 0;
    while (bytes < text.size()) {
        const Character character = first_character(text.substr(bytes));
        const size_t wanted = columns_of_character(character);
        if (wanted > columns) break;
        columns -= wanted;
        bytes += character.size;
    }
    return text.substr(0, bytes);
}

std::string_view first_bytes(std::string_view text, size_t bytes) {
    if (bytes >= text.size()) return text;
    while (bytes > 0 && is_inside_character(text[bytes])) bytes--;
    return text.substr(0, bytes);
}

std::string_view last_bytes(std::string_view text, size_t bytes) {
    if (bytes >= text.size()) return text;
    size_t begin = text.size() - bytes;
    while (begin < text.size() && is_inside_character(text[begin])) begin++;
    return text.substr(begin);
}

}  // namespace nsr
