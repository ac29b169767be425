// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/mount_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fcntl.h>

#include "base/sys.h"

namespace nsr::reclaim {

namespace {

constexpr size_t kMaxTable = 64 * 1024 * 1024;

// Space, tab, newline and backslash are written as three octal digits.
std::string unescaped(std::string_view text) {
    std::string result;
    auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 3 < text.size() && std::all_of(&text[i + 1], &text[i + 1] + 3, is_octal)) {
            result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            result += text[i];
        }
    }
    return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::optional<uint64_t> to_number(std::string_view text) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool lists(const std::string& options, std::string_view option) {
    auto parts = split(options, ',');
    return std::ranges::find(parts, option) != parts.end();
}

// Id, parent, device, root, mount point, options, any number of tags, "-", type, source, options of the superblock.
Result<Mount> parse_line(std::string_view line) {
    auto fields = split(line, ' ');
    auto dash = fields.size() < 7 ? fields.end() : std::find(fields.begin() + 6, fields.end(), "-");
    if (fields.end() - dash < 4) return fail(EBADMSG, "a mount table with a line that makes no sense");
    auto id = to_number(fields[0]), parent = to_number(fields[1]);
    if (!id || !parent) return fail(EBADMSG, "a mount table with a mount without a number");
    return Mount{*id,
                 *parent,
                 std::string(fields[2]),
                 unescaped(fields[3]),
                 unescaped(fields[4]),
                 std::string(fields[5]),
                 unescaped(dash[1]),
                 unescaped(dash[2]),
                 unescaped(dash[3])};
}

}  // namespace

bool Mount::has(std::string_view option) const { return lists(options, option); }
bool Mount::super_has(std::string_view option) const { return lists(super_options, option); }

std::string Mount::super_value(std::string_view name) const {
    for (std::string_view part : split(super_options, ','))
        if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
            return std::string(part.substr(name.size() + 1));
    return {};
}

Result<std::vector<Mount>> parse_mount_table(std::string_view text) {
    std::vector<Mount> mounts;
    for (std::string_view line : split(text, '\n'))
        if (!line.empty()) mounts.push_back(TRY(parse_line(line)));
    return mounts;
}

Result<std::vector<Mount>> read_mount_table(BorrowedFd proc) {
    UniqueFd fd = TRY(sys::open_at(proc, "self/mountinfo", O_RDONLY));
    auto text = TRY(sys::read_all(fd.borrow(), kMaxTable));
    return parse_mount_table(text);
}

Treatment treatment_of(const Mount& mount) {
    // By name, so that a file system that nobody here has heard of is looked at.
    constexpr std::array<std::string_view, 17> kNothingStays{
        "autofs", "binfmt_misc", "configfs",   "debugfs",    "efivarfs",  "fusectl", "nfsd",  "nsfs",   "proc",
        "pstore", "resctrl",     "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs"};
    if (std::ranges::find(kNothingStays, mount.type) != kNothingStays.end()) return Treatment::kNothingStays;
    // Of those that userspace serves. virtiofs is no such one: its server is the host's host.
    bool fuse = mount.type == "fuse" || mount.type == "fuseblk" || mount.type.starts_with("fuse.") ||
                mount.type.starts_with("fuseblk.");
    return fuse && !mount.super_has("allow_other") ? Treatment::kOneUser : Treatment::kLook;
}

}  // namespace nsr::reclaim
