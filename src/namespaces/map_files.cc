// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/map_files.h"

#include <fcntl.h>
#include <unistd.h>
#include <array>

#include "base/sys.h"
#include "namespaces/throw_away.h"

namespace nsr::namespaces {

namespace {

constexpr size_t kMaxMapText = 64 * 1024;  // 340 lines of three numbers, padded, are 11 KiB
constexpr size_t kMaxFiles = 3;

using Paths = std::vector<std::string>;
using Descriptors = std::array<UniqueFd, kMaxFiles>;

Result<Descriptors> open_here(const Paths& paths) {
    Descriptors fds;
    for (size_t i = 0; i < paths.size(); ++i) fds[i] = TRY(sys::open_at(sys::kCwd, paths[i], O_RDWR));
    return fds;
}

Result<Descriptors> open_inside(const UserNamespace& parent, const Paths& paths) {
    const char* names[kMaxFiles + 1]{};
    int opened[kMaxFiles]{-1, -1, -1};
    for (size_t i = 0; i < paths.size(); ++i) names[i] = paths[i].c_str();
    auto opener = ThrowAway::run({parent.fd(), names, opened});
    Descriptors fds;
    for (size_t i = 0; i < kMaxFiles; ++i) fds[i].reset(opened[i]);
    if (!opener) return Failure(std::move(opener).error());
    return fds;
}

// Leaves the file position at the beginning, where the kernel wants a map to be written.
Result<IdMap> read_map(BorrowedFd fd) {
    std::string text;
    char buffer[4096];
    while (text.size() < kMaxMapText) {
        ssize_t n = pread(fd.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()));
        int code = errno;
        if (n < 0) return fail_errno(code, "read id map");
        if (n == 0) return parse_id_map(text);
        text.append(buffer, static_cast<size_t>(n));
    }
    return fail(EFBIG, "id map is too long");
}

// A map is taken in one write(2) from the beginning of the file, or not at all.
Status write_once(BorrowedFd fd, std::string_view text, std::string_view what) {
    ssize_t n = write(fd.get(), text.data(), text.size());
    int code = errno;
    if (n < 0) return fail_errno(code, fmt::format("write {}", what));
    if (static_cast<size_t>(n) != text.size()) return fail(EIO, "{} was cut off", what);
    return {};
}

}  // namespace

Result<Maps> read_maps(const UserNamespace& target) {
    auto zombie = TRY(ThrowAway::run({.join = target.fd()}));
    UniqueFd uids = TRY(sys::open_at(sys::kCwd, fmt::format("/proc/{}/uid_map", zombie.pid()), O_RDONLY));
    UniqueFd gids = TRY(sys::open_at(sys::kCwd, fmt::format("/proc/{}/gid_map", zombie.pid()), O_RDONLY));
    Maps maps;
    maps.uids = TRY(read_map(uids.borrow()));
    maps.gids = TRY(read_map(gids.borrow()));
    return maps;
}

Result<MapFiles> MapFiles::open(const UserNamespace& target, const UserNamespace& parent, const UserNamespace& own,
                                Setgroups setgroups) {
    auto zombie = TRY(ThrowAway::run({.join = target.fd()}));
    Paths paths{fmt::format("/proc/{}/uid_map", zombie.pid()), fmt::format("/proc/{}/gid_map", zombie.pid())};
    if (setgroups == Setgroups::kWillBeDenied) paths.push_back(fmt::format("/proc/{}/setgroups", zombie.pid()));
    bool is_ours = parent.identity() == own.identity();
    Descriptors fds = is_ours ? TRY(open_here(paths)) : TRY(open_inside(parent, paths));
    return MapFiles(std::move(fds[0]), std::move(fds[1]), std::move(fds[2]));
}

Result<IdMap> MapFiles::uid_map() const { return read_map(uid_map_.borrow()); }
Result<IdMap> MapFiles::gid_map() const { return read_map(gid_map_.borrow()); }
Status MapFiles::deny_setgroups() { return write_once(setgroups_.borrow(), "deny", "setgroups"); }

Status MapFiles::write_gid_map(const IdMap& map) {
    return write_once(gid_map_.borrow(), format_id_map(map), "gid map");
}

Status MapFiles::write_uid_map(const IdMap& map) {
    return write_once(uid_map_.borrow(), format_id_map(map), "uid map");
}

}  // namespace nsr::namespaces
