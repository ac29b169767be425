// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/utf8.h"

#include <algorithm>
#include <array>

namespace nsr {

namespace {

struct Span {
    char32_t first, last;
};

/// Sorted. From the Unicode Character Database: Default_Ignorable_Code_Point, Bidi_Control, general categories Cc, Zl,
/// Zp, Co, and of Cf what is not visible.
constexpr std::array kUnsafe{
    Span{0x0000, 0x001F},      // C0
    Span{0x007F, 0x009F},      // DEL, C1
    Span{0x00AD, 0x00AD},      // soft hyphen
    Span{0x034F, 0x034F},      // combining grapheme joiner
    Span{0x061C, 0x061C},      // Arabic letter mark
    Span{0x115F, 0x1160},      // Hangul fillers
    Span{0x17B4, 0x17B5},      // Khmer inherent vowels
    Span{0x180B, 0x180F},      // Mongolian variation selectors and vowel separator
    Span{0x200B, 0x200F},      // zero width; left-to-right and right-to-left mark
    Span{0x2028, 0x202E},      // line and paragraph separator; embeddings and overrides
    Span{0x2060, 0x206F},      // word joiner, invisible operators, isolates, deprecated format characters
    Span{0x3164, 0x3164},      // Hangul filler
    Span{0xE000, 0xF8FF},      // private use
    Span{0xFDD0, 0xFDEF},      // noncharacters
    Span{0xFE00, 0xFE0F},      // variation selectors
    Span{0xFEFF, 0xFEFF},      // zero width no-break space
    Span{0xFFA0, 0xFFA0},      // halfwidth Hangul filler
    Span{0xFFF0, 0xFFFB},      // interlinear annotations
    Span{0x13430, 0x1345F},    // Egyptian hieroglyph format controls
    Span{0x1BCA0, 0x1BCA3},    // shorthand format controls
    Span{0x1D173, 0x1D17A},    // musical format controls
    Span{0xE0000, 0xE0FFF},    // tags, variation selectors
    Span{0xF0000, 0x10FFFF}};  // private use

constexpr bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

Character first_character(std::string_view text) {
    auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const size_t size = lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {std::nullopt, 1};
    // The bits of the first byte that belong to the number: 5, 4 or 3.
    char32_t code = lead & (0x7Fu >> size);
    for (size_t at = 1; at < size; at++) {
        if (!is_continuation(byte(at))) return {std::nullopt, 1};
        code = code << 6 | (byte(at) & 0x3Fu);
    }
    const bool is_overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (is_overlong || is_surrogate || code > 0x10FFFF) return {std::nullopt, 1};
    return {code, size};
}

bool is_unsafe(char32_t code) {
    if ((code & 0xFFFE) == 0xFFFE) return true;  // noncharacters at the end of each plane
    const auto* span = std::ranges::lower_bound(kUnsafe, code, {}, &Span::last);
    return span != kUnsafe.end() && span->first <= code;
}

}  // namespace nsr
