// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nsr {

/// Text from outside (names of files, cgroups, interfaces and processes, answers of other programs, arguments) for a
/// terminal or a log. Valid UTF-8 stays, but for characters that command a terminal, that show a text in another order
/// than it has, that are not seen, or that have no meaning of their own:
///
///   - C0 and C1 controls, DEL; the line and the paragraph separator,
///   - bidirectional controls,
///   - zero-width and other invisible characters (joiners, fillers, variation selectors, tags, ...),
///   - noncharacters, and private use.
///
/// Each of them becomes a visible escape: \xNN for those below U+0080 and for each byte that is not UTF-8, else \u{N},
/// in hexadecimal digits. What was escaped once is not changed by a second time.

/// One line at most: a line feed is escaped as well, so a name cannot forge another line.
std::string printable(std::string_view text);

/// The same, and "\" becomes "\x5c": so each text has an escaped form of its own.
std::string unambiguous(std::string_view text);

/// Text that is laid out in lines already: line feeds stay.
std::string printable_lines(std::string_view text);

/// JSON as a serializer wrote it (all strings in it may hold any bytes): the same characters become \uNNNN, which a
/// reader turns into the character again. Each byte that is not UTF-8 becomes \\xNN, which a reader takes for the text
/// \xNN. Line feeds between the values stay.
std::string printable_json(std::string_view serialized);

/// How many columns of a terminal a printable text takes. East Asian characters take two, combining marks none.
size_t columns_of(std::string_view text);

/// The longest beginning that takes no more columns, or bytes, without a broken character at its end; and the longest
/// end of no more bytes.
std::string_view first_columns(std::string_view text, size_t columns);
std::string_view first_bytes(std::string_view text, size_t bytes);
std::string_view last_bytes(std::string_view text, size_t bytes);

}  // namespace nsr
