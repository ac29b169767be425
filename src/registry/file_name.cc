// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/file_name.h"

#include <algorithm>
#include <array>

#include <charconv>

#include "registry/names.h"

namespace nsr::registry {

namespace {

template <class Number>
std::optional<Number> parse_decimal(std::string_view text) {
    Number number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
    // "007", "-0" and the like would be a second name for the same thing.
    if (fmt::format_int(number).size() != text.size()) return std::nullopt;
    return number;
}

FileName numbered(FileKind kind, std::string_view digits) {
    std::optional<uint32_t> number = parse_decimal<uint32_t>(digits);
    if (!number) return {};
    return {kind, *number, {}};
}

}  // namespace

FileName parse_file_name(std::string_view file) {
    if (file == "lock") return {FileKind::kLock, 0, {}};
    size_t dot = file.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return {};
    std::string_view middle = file.substr(1, dot - 1);
    std::string_view suffix = file.substr(dot);
    char letter = file.front();
    if (suffix == ".userns" && letter == 'i') {
        std::optional<uint64_t> inode = parse_decimal<uint64_t>(middle);
        if (!inode || *inode == 0) return {};
        return {FileKind::kEntry, *inode, {}};
    }
    if (suffix == ".userns" && letter == 'n' && is_valid_name(middle)) return {FileKind::kName, 0, middle};
    if (suffix == ".userns" && letter == 'u') return numbered(FileKind::kStart, middle);
    if (suffix == ".userns" && letter == 'g') return numbered(FileKind::kStartGid, middle);
    if (suffix == ".delegate" && letter == 'u') return numbered(FileKind::kDelegate, middle);
    if (suffix == ".delegate" && letter == 'g') return numbered(FileKind::kDelegateGid, middle);
    if (suffix == ".owns" && letter == 'o') return numbered(FileKind::kOwner, middle);
    return {};
}

std::string entry_file(NsInode inode) { return fmt::format("i{}.userns", inode); }
std::string name_file(std::string_view name) { return fmt::format("n{}.userns", name); }
std::string start_file(Uid start) { return fmt::format("u{}.userns", start); }
std::string start_gid_file(Gid start) { return fmt::format("g{}.userns", start); }
std::string delegate_file(Uid start) { return fmt::format("u{}.delegate", start); }
std::string delegate_gid_file(Gid start) { return fmt::format("g{}.delegate", start); }
std::string owner_directory(Uid owner) { return fmt::format("o{}.owns", owner); }
std::string owned_file(Uid owner, NsInode inode) { return fmt::format("o{}.owns/i{}.userns", owner, inode); }

std::vector<std::string> link_files(const Registration& registration) {
    std::vector<std::string> files{name_file(registration.name)};
    if (registration.is_transient()) {
        files.push_back(start_file(registration.range->start));
        files.push_back(start_gid_file(registration.range->start_gid));
    }
    files.push_back(owned_file(registration.owner, registration.userns.inode));
    return files;
}

std::string new_content_file(pid_t writer) { return fmt::format("{}.new", writer); }
std::string new_link_file(pid_t writer) { return fmt::format("{}.link", writer); }

std::optional<pid_t> parse_new_file(std::string_view file) {
    size_t dot = std::min(file.find('.'), file.size());
    std::string_view ending = file.substr(dot);
    if (ending != ".new" && ending != ".link") return std::nullopt;
    std::optional<pid_t> writer = parse_decimal<pid_t>(file.substr(0, dot));
    return writer && *writer > 0 ? writer : std::nullopt;
}

}  // namespace nsr::registry
