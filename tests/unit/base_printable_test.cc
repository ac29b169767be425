// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/printable.h"

#include <gtest/gtest.h>
#include <random>

#include "base/utf8.h"

namespace nsr {
namespace {

std::string utf8(char32_t code) {
    auto byte = [](char32_t bits) { return static_cast<char>(bits); };
    if (code < 0x80) return {byte(code)};
    if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F))};
    if (code < 0x10000) return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
    return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F)),
            byte(0x80 | (code & 0x3F))};
}

bool is_valid(std::string_view text) {
    while (!text.empty()) {
        Character character = first_character(text);
        if (!character.code) return false;
        text.remove_prefix(character.size);
    }
    return true;
}

TEST(Printable, PlainTextStays) {
    for (const char* text : {"", "name-1_x", "grüße", "日本語", "עברית", "العربية", "naïve é", "└─child", "🐧", "a\\b",
                             "\"quoted\" 'text' <b>&amp;", "हिन्दी"}) {
        EXPECT_EQ(printable(text), text);
        EXPECT_EQ(printable_lines(text), text);
        EXPECT_EQ(printable_json(text), text);
    }
}

struct Unsafe {
    char32_t code;
    const char* text;
    const char* json;
};

TEST(Printable, UnsafeCharactersAreEscaped) {
    const Unsafe kTable[] = {
        {0x00, "\\x00", "\\u0000"},
        {0x07, "\\x07", "\\u0007"},
        {0x08, "\\x08", "\\u0008"},
        {0x09, "\\x09", "\\u0009"},
        {0x0D, "\\x0d", "\\u000d"},
        {0x1B, "\\x1b", "\\u001b"},
        {0x7F, "\\x7f", "\\u007f"},
        {0x80, "\\u{80}", "\\u0080"},
        {0x85, "\\u{85}", "\\u0085"},
        {0x9B, "\\u{9b}", "\\u009b"},
        {0x9D, "\\u{9d}", "\\u009d"},
        {0x9F, "\\u{9f}", "\\u009f"},
        {0xAD, "\\u{ad}", "\\u00ad"},
        {0x34F, "\\u{34f}", "\\u034f"},
        {0x61C, "\\u{61c}", "\\u061c"},
        {0x115F, "\\u{115f}", "\\u115f"},
        {0x17B4, "\\u{17b4}", "\\u17b4"},
        {0x180E, "\\u{180e}", "\\u180e"},
        {0x200B, "\\u{200b}", "\\u200b"},
        {0x200D, "\\u{200d}", "\\u200d"},
        {0x200E, "\\u{200e}", "\\u200e"},
        {0x200F, "\\u{200f}", "\\u200f"},
        {0x2028, "\\u{2028}", "\\u2028"},
        {0x2029, "\\u{2029}", "\\u2029"},
        {0x202A, "\\u{202a}", "\\u202a"},
        {0x202E, "\\u{202e}", "\\u202e"},
        {0x2060, "\\u{2060}", "\\u2060"},
        {0x2066, "\\u{2066}", "\\u2066"},
        {0x2069, "\\u{2069}", "\\u2069"},
        {0x206F, "\\u{206f}", "\\u206f"},
        {0x3164, "\\u{3164}", "\\u3164"},
        {0xE000, "\\u{e000}", "\\ue000"},
        {0xF8FF, "\\u{f8ff}", "\\uf8ff"},
        {0xFDD0, "\\u{fdd0}", "\\ufdd0"},
        {0xFE0F, "\\u{fe0f}", "\\ufe0f"},
        {0xFEFF, "\\u{feff}", "\\ufeff"},
        {0xFFA0, "\\u{ffa0}", "\\uffa0"},
        {0xFFF9, "\\u{fff9}", "\\ufff9"},
        {0xFFFE, "\\u{fffe}", "\\ufffe"},
        {0xFFFF, "\\u{ffff}", "\\uffff"},
        {0x1BCA0, "\\u{1bca0}", "\\ud82f\\udca0"},
        {0x1D173, "\\u{1d173}", "\\ud834\\udd73"},
        {0x1FFFE, "\\u{1fffe}", "\\ud83f\\udffe"},
        {0xE0001, "\\u{e0001}", "\\udb40\\udc01"},
        {0xE0041, "\\u{e0041}", "\\udb40\\udc41"},
        {0xE01EF, "\\u{e01ef}", "\\udb40\\uddef"},
        {0xF0000, "\\u{f0000}", "\\udb80\\udc00"},
        {0x10FFFF, "\\u{10ffff}", "\\udbff\\udfff"},
    };
    for (const Unsafe& row : kTable) {
        std::string raw = "a" + utf8(row.code) + "b";
        EXPECT_EQ(printable(raw), std::string("a") + row.text + "b");
        EXPECT_EQ(printable_lines(raw), std::string("a") + row.text + "b");
        EXPECT_EQ(printable_json(raw), std::string("a") + row.json + "b");
    }
}

TEST(Printable, NeighboursOfUnsafeCharactersStay) {
    for (uint32_t number : {0x20u,   0x7Eu,   0xA0u,    0xACu,    0xAEu,    0x34Eu,   0x350u,  0x61Bu,  0x61Du,
                            0x115Eu, 0x1161u, 0x200Au,  0x2010u,  0x2027u,  0x202Fu,  0x205Fu, 0x2070u, 0x3163u,
                            0x3165u, 0xD7A3u, 0xF900u,  0xFDCFu,  0xFDF0u,  0xFDFFu,  0xFE10u, 0xFEFCu, 0xFFEFu,
                            0xFFFCu, 0xFFFDu, 0x10000u, 0x1D172u, 0x1D17Bu, 0x1FFFDu, 0x20000u})
        EXPECT_EQ(printable(utf8(number)), utf8(number)) << std::hex << number;
}

TEST(Printable, WhatIsNotUtf8IsEscapedByteByByte) {
    struct {
        std::string raw;
        const char* text;
    } const kTable[] = {
        {"\x80", "\\x80"},
        {"\x9b"
         "31m",
         "\\x9b31m"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3"},  // cut off
        {"\xc3(", "\\xc3("},
        {"\xe2\x80", "\\xe2\\x80"},
        {"\xe2\x80x", "\\xe2\\x80x"},
        {"\xf0\x9f\x90", "\\xf0\\x9f\\x90"},
        {"\xc0\x9b", "\\xc0\\x9b"},  // overlong
        {"\xc1\xbf", "\\xc1\\xbf"},
        {"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
        {"\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},  // surrogate
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
        {"\xfc\x80\x80\x80\x80\x80", "\\xfc\\x80\\x80\\x80\\x80\\x80"},
        {"\xc3\xc3\xbc", "\\xc3ü"},  // the rest counts again
    };
    for (const auto& row : kTable) {
        EXPECT_EQ(printable(row.raw), row.text);
        std::string json = row.text;
        for (size_t at = 0; (at = json.find('\\', at)) != std::string::npos; at += 2) json.insert(at, 1, '\\');
        EXPECT_EQ(printable_json(row.raw), json);
    }
}

TEST(Printable, LineFeedsStayOnlyInLinesAndBetweenValues) {
    EXPECT_EQ(printable("a\nb"), "a\\x0ab");
    EXPECT_EQ(printable_lines("a\nb"), "a\nb");
    EXPECT_EQ(printable_json("{\n}"), "{\n}");
}

TEST(Printable, AnEscapedTextIsNotEscapedAgain) {
    std::string once = printable("\x1b\xff\xe2\x80\xae\n\\");
    EXPECT_EQ(once, "\\x1b\\xff\\u{202e}\\x0a\\");
    EXPECT_EQ(printable(once), once);
    EXPECT_EQ(printable_lines(once), once);
}

TEST(Printable, UnambiguousHasTheBackslashAsWell) {
    EXPECT_EQ(unambiguous("\\x1b"), "\\x5cx1b");
    EXPECT_EQ(unambiguous("\x1b"), "\\x1b");
    EXPECT_EQ(unambiguous("ü\xe2\x80\xae"), "ü\\u{202e}");
}

TEST(Printable, AnyBytesBecomeSafeUtf8) {
    std::mt19937 random(1);
    for (int i = 0; i < 20000; i++) {
        std::string text(random() % 12, '\0');
        for (char& c : text) c = static_cast<char>(random());
        for (const std::string& out :
             {printable(text), unambiguous(text), printable_lines(text), printable_json(text)}) {
            ASSERT_TRUE(is_valid(out));
            for (std::string_view rest = out; !rest.empty(); rest.remove_prefix(first_character(rest).size)) {
                char32_t code = *first_character(rest).code;
                ASSERT_TRUE(!is_unsafe(code) || code == '\n');
            }
        }
        ASSERT_EQ(printable(text).find('\n'), std::string::npos);
    }
}

TEST(Printable, Columns) {
    EXPECT_EQ(columns_of(""), 0u);
    EXPECT_EQ(columns_of("abc"), 3u);
    EXPECT_EQ(columns_of("└─ü"), 3u);
    EXPECT_EQ(columns_of("日本"), 4u);
    EXPECT_EQ(columns_of("e\xcc\x81"), 1u);
    EXPECT_EQ(columns_of(printable("\x1b")), 4u);
    EXPECT_EQ(first_columns("日本語", 5), "日本");
    EXPECT_EQ(first_columns("abc", 2), "ab");
    EXPECT_EQ(first_columns("abc", 9), "abc");
}

TEST(Printable, CutsBetweenCharacters) {
    EXPECT_EQ(first_bytes("aüb", 2), "a");
    EXPECT_EQ(first_bytes("aüb", 3), "aü");
    EXPECT_EQ(first_bytes("aüb", 9), "aüb");
    EXPECT_EQ(last_bytes("aüb", 2), "b");
    EXPECT_EQ(last_bytes("aüb", 3), "üb");
    EXPECT_EQ(last_bytes("aüb", 9), "aüb");
    EXPECT_EQ(first_bytes("ü", 0), "");
    EXPECT_EQ(last_bytes("ü", 0), "");
}

}  // namespace
}  // namespace nsr
