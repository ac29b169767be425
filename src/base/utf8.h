// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace nsr {

/// One character of UTF-8, or one byte that is not part of any.
struct Character {
    std::optional<char32_t> code;  ///< nothing: not UTF-8
    size_t size;                   ///< bytes; 1 where it is not UTF-8
};

/// The first character of a text that is not empty. By RFC 3629: no overlong forms, no surrogates, nothing beyond
/// U+10FFFF.
Character first_character(std::string_view text);

/// Whether a character is shown by an escape only; see base/printable.h.
bool is_unsafe(char32_t code);

}  // namespace nsr
