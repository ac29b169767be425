// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/types.h"

namespace nsr::log {

/// As in syslog(3).
enum class Level { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

/// A structured field of the journal: name in capitals ("USERNS"), and value.
using Field = std::pair<std::string_view, std::string>;

/// Sets up logging of this process: to the journal with fields where standard error is connected to it, else as text
/// lines to standard error. `program` is put in front of text lines. To be called once, first thing in main().
void open(std::string_view program, Level max_level);
void set_level(Level max_level);
Level level();
/// "error", "warning", "notice", "info", "debug", or nothing.
const Level* level_from_string(std::string_view text);
std::string_view level_to_string(Level level);

/// While this lives, the lines that this process writes count as caused by a uid: that of a client, or of the owner of
/// a registration. Without one of these, or with one of no uid, they are of the service's own life, and are never left
/// out. The innermost counts.
class OnBehalfOf {
public:
    explicit OnBehalfOf(std::optional<Uid> uid);
    OnBehalfOf(const OnBehalfOf&) = delete;
    OnBehalfOf& operator=(const OnBehalfOf&) = delete;
    ~OnBehalfOf();

private:
    std::optional<Uid> outer_;
};

/// No user's uid: of lines that some user may have caused, while it cannot be told which one.
inline constexpr Uid kUnknownUser{UINT32_MAX};

enum class Verdict { kWrite, kLeaveOut };
/// Asked about each line of level info or above that is written on behalf of a uid; it must not write any. Debug lines
/// are written always: they are there only if an administrator has asked for each of them. To be valid until the end of
/// the process.
void set_gate(std::function<Verdict(Uid)> gate);

/// Writes one line, made printable (base/printable.h).
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

template <class... Args>
void error(fmt::format_string<Args...> f, Args&&... args) {
    write(Level::kError, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> f, Args&&... args) {
    write(Level::kWarning, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void notice(fmt::format_string<Args...> f, Args&&... args) {
    write(Level::kNotice, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> f, Args&&... args) {
    write(Level::kInfo, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> f, Args&&... args) {
    if (level() >= Level::kDebug) write(Level::kDebug, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace nsr::log
