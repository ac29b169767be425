// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <array>
#include <cstdlib>
#include <vector>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/printable.h"

namespace nsr::log {

namespace {

struct LevelName {
    Level level;
    std::string_view name;
};
constexpr std::array kLevelNames{LevelName{Level::kError, "error"}, LevelName{Level::kWarning, "warning"},
                                 LevelName{Level::kNotice, "notice"}, LevelName{Level::kInfo, "info"},
                                 LevelName{Level::kDebug, "debug"}};

struct Sink {
    std::string program = "nsresourced";
    Level max_level = Level::kInfo;
    bool journal = false;
    std::function<Verdict(Uid)> gate = {};
    std::optional<Uid> on_behalf_of = {};
};

// The one process-wide object: a logger that has to be passed everywhere ends up not being used.
Sink& sink() {
    static Sink instance;
    return instance;
}

// systemd.exec(5), $JOURNAL_STREAM: device and inode of the stream that standard error was connected to.
bool stderr_is_journal() {
    const char* stream = getenv("JOURNAL_STREAM");
    struct stat st{};
    if (!stream || fstat(STDERR_FILENO, &st) < 0) return false;
    return fmt::format("{}:{}", st.st_dev, st.st_ino) == stream;
}

bool is_left_out(Level level) {
    const Sink& to = sink();
    if (!to.gate || !to.on_behalf_of || level == Level::kDebug) return false;
    return to.gate(*to.on_behalf_of) == Verdict::kLeaveOut;
}

}  // namespace

OnBehalfOf::OnBehalfOf(std::optional<Uid> uid) : outer_(std::exchange(sink().on_behalf_of, uid)) {}
OnBehalfOf::~OnBehalfOf() { sink().on_behalf_of = outer_; }

void set_gate(std::function<Verdict(Uid)> gate) { sink().gate = std::move(gate); }

void open(std::string_view program, Level max_level) {
    sink() = Sink{.program = std::string(program), .max_level = max_level, .journal = stderr_is_journal()};
}

void set_level(Level max_level) { sink().max_level = max_level; }
Level level() { return sink().max_level; }

const Level* level_from_string(std::string_view text) {
    for (const auto& entry : kLevelNames)
        if (entry.name == text) return &entry.level;
    return nullptr;
}

std::string_view level_to_string(Level level) {
    for (const auto& entry : kLevelNames)
        if (entry.level == level) return entry.name;
    return "unknown";
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (level > sink().max_level || is_left_out(level)) return;
    // A client chooses names that end up in messages: a line feed in one must not forge a line of the log.
    std::string text = printable(message);
    if (!sink().journal) {
        std::string line = fmt::format("{}: {}: {}\n", sink().program, level_to_string(level), text);
        // Nowhere to report that the log cannot be written.
        [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
        return;
    }
    std::vector<std::string> items{fmt::format("MESSAGE={}", text), fmt::format("PRIORITY={}", static_cast<int>(level)),
                                   fmt::format("SYSLOG_IDENTIFIER={}", sink().program)};
    for (const auto& [name, value] : fields) items.push_back(fmt::format("{}={}", name, printable(value)));
    std::vector<iovec> vector;
    for (auto& item : items) vector.push_back({item.data(), item.size()});
    sd_journal_sendv(vector.data(), static_cast<int>(vector.size()));
}

}  // namespace nsr::log
