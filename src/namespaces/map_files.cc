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
constexpr size_t kFiles = 3;

using Descriptors = std::array<UniqueFd, kFiles>;

Result<Descriptors> open_here(const std::array<std::string, kFiles>& paths) {
    Descriptors fds;
    for (size_t i = 0; i < kFiles; ++i) fds[i] = TRY(sys::open_at(sys::kCwd, paths[i], O_RDWR));
    return fds;
}

Result<Descriptors> open_inside(const UserNamespace& parent, const std::array<std::string, kFiles>& paths) {
    const char* names[kFiles + 1]{};
    int opened[kFiles];
    for (size_t i = 0; i < kFiles; ++i) {
        names[i] = paths[i].c_str();
        opened[i] = -1;
    }
    auto opener = ThrowAway::run({parent.fd(), names, opened});
    Descriptors fds;
    for (size_t i = 0; i < kFiles; ++i) fds[i].reset(opened[i]);
    if (!opener) return Failure(std::move(opener).error());
    return fds;
}

Result<IdMap> read_map(BorrowedFd fd) {
    if (lseek(fd.get(), 0, SEEK_SET) < 0) {
        int code = errno;
        return fail_errno(code, "seek in id map");
    }
    return parse_id_map(TRY(sys::read_all(fd, kMaxMapText)));
}

// A map is taken in one write(2) from the beginning of the file, or not at all.
Status write_once(BorrowedFd fd, std::string_view text, std::string_view what) {
    lseek(fd.get(), 0, SEEK_SET);
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

Result<MapFiles> MapFiles::open(const UserNamespace& target, const UserNamespace& parent, const UserNamespace& own) {
    auto zombie = TRY(ThrowAway::run({.join = target.fd()}));
    std::array<std::string, kFiles> paths{fmt::format("/proc/{}/uid_map", zombie.pid()),
                                          fmt::format("/proc/{}/gid_map", zombie.pid()),
                                          fmt::format("/proc/{}/setgroups", zombie.pid())};
    Descriptors fds = parent.identity() == own.identity() ? TRY(open_here(paths)) : TRY(open_inside(parent, paths));
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
