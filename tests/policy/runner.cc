// SPDX-License-Identifier: LGPL-2.1-or-later
#include "runner.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <array>
#include <cstdio>
#include <optional>

#include "base/sys.h"
#include "remains.h"
#include "table.h"
#include "verdict.h"

namespace nsr::channels {

namespace {

using Kind_ = FileSystem::Kind;

/// The columns of the table. What happens once, or on one file system only, stands in that one's column.
constexpr Kind_ kColumns[] = {Kind_::kExt4, Kind_::kTmpfs, Kind_::kBtrfs, Kind_::kXfs, Kind_::kF2fs};

bool is_tried_on(const Case& one, Kind_ kind) {
    switch (one.where) {
        case Where::kEach:
            return kind != Kind_::kGrpid;
        case Where::kExt4:
            return kind == Kind_::kExt4;
        case Where::kBtrfs:
            return kind == Kind_::kBtrfs;
        case Where::kGrpid:
            return kind == Kind_::kGrpid;
        case Where::kOnce:
            return kind == Kind_::kTmpfs;
    }
    return false;
}

using Cells = std::array<std::string, std::size(kColumns)>;

void print_row(std::string_view kind, std::string_view name, const Cells& cells, std::string_view power) {
    std::string line = fmt::format("{:<8} {:<54}", kind, name);
    for (const auto& cell : cells) line += fmt::format(" {:<8}", cell);
    fmt::print("{} {}\n", line, power);
}

std::string_view text_of(Kind kind) {
    switch (kind) {
        case Kind::kChannel:
            return "channel";
        case Kind::kControl:
            return "control";
        case Kind::kDocumented:
            return "document";
        case Kind::kReport:
            return "report";
    }
    return "?";
}

struct Count {
    size_t channels = 0, held = 0, leaks = 0, documented = 0, controls = 0, allowed = 0, refused = 0, odd = 0,
           missing = 0;
    size_t unexpected = 0;

    void add(const Case& one, const Verdict& verdict, Expect expect);
};

void Count::add(const Case& one, const Verdict& verdict, Expect expect) {
    if (!as_expected(one, verdict, expect)) ++unexpected;
    if (one.kind == Kind::kReport) return;
    if (one.kind != Kind::kDocumented) ++(one.kind == Kind::kChannel ? channels : controls);
    switch (verdict.word) {
        case Verdict::Word::kHeld:
            ++held;
            break;
        case Verdict::Word::kLeak:
            ++leaks;
            break;
        case Verdict::Word::kOdd:
            ++odd;
            break;
        case Verdict::Word::kAllowed:
            ++allowed;
            break;
        case Verdict::Word::kRefused:
            ++refused;
            break;
        case Verdict::Word::kMissing:
            ++missing;
            break;
        case Verdict::Word::kDocumented:
            ++documented;
            break;
    }
}

class Runner {
public:
    Runner(Setting& setting, const Wanted& wanted) : setting_(setting), wanted_(wanted) {}

    Verdict try_on(const Case& one, const FileSystem& fs);
    void row(const Case& one, const std::vector<FileSystem>& file_systems);
    int finish(const std::vector<FileSystem>& file_systems);

private:
    Attempt attempt_in(const Case& one, const FileSystem& fs, const std::string& directory);
    void note(const Case& one, const FileSystem& fs, const Verdict& verdict);

    Setting& setting_;
    const Wanted& wanted_;
    Count count_;
    std::vector<std::string> notes_;
    size_t number_ = 0;
};

Attempt Runner::attempt_in(const Case& one, const FileSystem& fs, const std::string& directory) {
    Stage stage(setting_, fs, directory);
    Attempt attempt = one.run(stage);
    // Renaming and linking what was there is no leak where it is to be allowed.
    if (one.kind != Kind::kControl)
        for (auto& line : stage.remains()) attempt.remains.push_back(std::move(line));
    return attempt;
}

Verdict Runner::try_on(const Case& one, const FileSystem& fs) {
    if (!fs.missing.empty()) return {Verdict::Word::kMissing, fs.missing};
    if (!one.needs_enforce.empty() && setting_.level != "enforce") return {Verdict::Word::kMissing, one.needs_enforce};
    const std::string directory = fmt::format("{}/{}", fs.mount_point, number_);
    ::mkdir(directory.c_str(), 0755);
    ::chmod(directory.c_str(), 0777);
    const Attempt attempt = attempt_in(one, fs, directory);
    while (::umount2(directory.c_str(), MNT_DETACH) == 0) {
    }
    empty_directory(directory);
    ::rmdir(directory.c_str());
    return judge(one, attempt);
}

void Runner::note(const Case& one, const FileSystem& fs, const Verdict& verdict) {
    const bool expected = as_expected(one, verdict, wanted_.expect);
    if (!fs.missing.empty()) return;
    if (expected && !wanted_.verbose && verdict.word != Verdict::Word::kMissing && one.kind != Kind::kReport) return;
    notes_.push_back(fmt::format("{}{} [{}]: {}{}{}{}", expected ? "" : "** ", one.name, fs.name, text_of(verdict.word),
                                 verdict.detail.empty() ? "" : ": ", verdict.detail,
                                 one.open.empty() ? "" : fmt::format(" ({})", one.open)));
}

void Runner::row(const Case& one, const std::vector<FileSystem>& file_systems) {
    if (!one.name.contains(wanted_.text)) return;
    ++number_;
    Cells cells;
    for (const auto& fs : file_systems) {
        if (!is_tried_on(one, fs.kind)) continue;
        const Verdict verdict = try_on(one, fs);
        count_.add(one, verdict, wanted_.expect);
        note(one, fs, verdict);
        for (size_t column = 0; column < std::size(kColumns); ++column)
            if (kColumns[column] == fs.kind || (fs.kind == Kind_::kGrpid && kColumns[column] == Kind_::kExt4))
                cells[column] = text_of(verdict.word);
    }
    print_row(text_of(one.kind), one.name, cells, one.power);
    std::fflush(stdout);
}

int Runner::finish(const std::vector<FileSystem>& file_systems) {
    fmt::print("\n");
    for (const auto& fs : file_systems) {
        if (fs.missing.empty()) continue;
        fmt::print("{}{}: n/a: {}\n", wanted_.all_file_systems ? "** " : "", fs.name, fs.missing);
        if (wanted_.all_file_systems) ++count_.unexpected;
    }
    for (const auto& line : notes_) fmt::print("{}\n", line);
    fmt::print(
        "\n{} channels, {} held, {} leaks, {} documented, {} controls, {} allowed, {} wrongly refused, {} odd, "
        "{} not applicable; {} not as expected\n",
        count_.channels, count_.held, count_.leaks, count_.documented, count_.controls, count_.allowed, count_.refused,
        count_.odd, count_.missing, count_.unexpected);
    return count_.unexpected == 0 && count_.channels + count_.controls + count_.documented > 0 ? 0 : 1;
}

}  // namespace

int run_cases(Setting& setting, const std::vector<FileSystem>& file_systems, const Wanted& wanted) {
    const Table table = all_cases();
    Runner runner(setting, wanted);
    print_row("", "", {"ext4", "tmpfs", "btrfs", "xfs", "f2fs"}, "power");
    for (const auto& one : table.cases()) runner.row(one, file_systems);
    return runner.finish(file_systems);
}

int list_cases(const Wanted& wanted) {
    const Table table = all_cases();
    for (const auto& one : table.cases())
        if (one.name.contains(wanted.text)) fmt::print("{}\n", one.name);
    return 0;
}

}  // namespace nsr::channels
