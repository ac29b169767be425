// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_mount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/sys.h"

namespace nsr::resources {

namespace {

constexpr size_t kMaxMountInfo = 64 * 1024 * 1024;  // some 100,000 mounts, which is the kernel's own limit

bool is_octal(char c) { return c >= '0' && c <= '7'; }

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
            is_octal(text[i + 3])) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// What is at the path now may be something else that was mounted over it.
Result<std::optional<UniqueFd>> open_if_cgroup2(const std::string& path) {
    auto fd = sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
    if (!fd) return std::optional<UniqueFd>();
    struct statfs fs{};
    int result = fstatfs(fd->get(), &fs);
    int code = errno;
    if (result < 0) return fail_errno(code, "fstatfs");
    if (fs.f_type != CGROUP2_SUPER_MAGIC) return std::optional<UniqueFd>();
    return std::optional(std::move(*fd));
}

}  // namespace

std::optional<std::string> cgroup2_mount_point(std::string_view line) {
    size_t separator = line.find(" - ");
    if (separator == line.npos || !line.substr(separator + 3).starts_with("cgroup2 ")) return std::nullopt;
    std::string_view rest = line.substr(0, separator);
    for (int field = 0; field < 4; ++field) {
        size_t space = rest.find(' ');
        if (space == rest.npos) return std::nullopt;
        rest.remove_prefix(space + 1);
    }
    return unescape(rest.substr(0, rest.find(' ')));
}

Result<UniqueFd> open_cgroup_mount() {
    std::string text = TRY(sys::read_file_at(sys::kCwd, "/proc/self/mountinfo", kMaxMountInfo));
    std::string_view rest = text;
    while (!rest.empty()) {
        size_t end = rest.find('\n');
        auto path = cgroup2_mount_point(rest.substr(0, end));
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
        if (!path) continue;
        auto fd = TRY(open_if_cgroup2(*path));
        if (fd) return std::move(*fd);
    }
    return fail(ENODEV, "no cgroup2 file system is mounted");
}

}  // namespace nsr::resources
