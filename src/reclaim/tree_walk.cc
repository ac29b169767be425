// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <array>
#include <cstring>

#include "base/sys.h"
#include "reclaim/xattr_ids.h"

namespace nsr::reclaim {

namespace {

/// Directories that are open at the same time; beyond, those far above are closed, and opened again by "..".
constexpr size_t kMaxOpen = 64;
constexpr unsigned kWanted = STATX_TYPE | STATX_UID | STATX_GID | STATX_INO;

// Nothing but what lies below: no automount is set off, no link is followed.
UniqueFd open_below(BorrowedFd dir, const char* name) {
    struct open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, dir.get(), name, &how, sizeof how)));
}

// Somebody removed or moved it, or put something else there. Whoever watches the changes hears of it.
bool is_gone(int code) { return code == ENOENT || code == ENOTDIR || code == ELOOP; }

}  // namespace

void TreeWalk::walk(BorrowedFd root, const std::string& label) {
    label_ = label;
    frames_.clear();
    auto fd = sys::open_at(root, ".", O_RDONLY | O_DIRECTORY);
    struct statx stx{};
    if (!fd || ::statx(fd->get(), "", AT_EMPTY_PATH, kWanted, &stx) < 0 || ::fchdir(fd->get()) < 0) {
        int code = errno;
        return findings_.add_problem(fd ? fmt::format("{}: {}", label, strerrordesc_np(code)) : fd.error().what());
    }
    note(stx, ".", 0, [&] { return label; });
    auto top = enter(std::move(*fd), "");
    if (!top) return findings_.add_problem(fmt::format("{}: {}", label, top.error().what()));
    frames_.push_back(*std::move(top));
    if (auto listed = list(frames_.back()); !listed)
        findings_.add_problem(fmt::format("{}: {}", label, listed.error().what()));
    while (!frames_.empty()) {
        if (!frames_.back().directories.empty())
            descend();
        else if (ascend() == Go::kStop)
            return;
    }
}

Result<TreeWalk::Frame> TreeWalk::enter(UniqueFd fd, std::string name) {
    struct stat st = TRY(sys::stat_fd(fd.borrow()));
    return Frame{std::move(fd), std::move(name), st.st_dev, st.st_ino, {}};
}

void TreeWalk::descend() {
    std::string name = std::move(frames_.back().directories.back());
    frames_.back().directories.pop_back();
    UniqueFd fd = open_below(frames_.back().fd.borrow(), name.c_str());
    int code = errno;
    if (!fd) {
        if (!is_gone(code)) findings_.add_problem(fmt::format("{}: {}", path(name), strerrordesc_np(code)));
        return;
    }
    auto entered = enter(std::move(fd), std::move(name));
    if (!entered) return findings_.add_problem(fmt::format("{}: {}", path(""), entered.error().what()));
    frames_.push_back(*std::move(entered));
    if (frames_.size() > kMaxOpen) frames_[frames_.size() - kMaxOpen - 1].fd.reset();
    if (auto listed = list(frames_.back()); !listed)
        findings_.add_problem(fmt::format("{}: {}", path(""), listed.error().what()));
}

TreeWalk::Go TreeWalk::ascend() {
    Frame left = std::move(frames_.back());
    frames_.pop_back();
    if (frames_.empty() || frames_.back().fd) return Go::kOn;
    Frame& above = frames_.back();
    auto fd = sys::open_at(left.fd.borrow(), "..", O_RDONLY | O_DIRECTORY);
    auto st = fd ? sys::stat_fd(fd->borrow()) : Result<struct stat>(Failure(fd.error()));
    if (st && st->st_dev == above.device && st->st_ino == above.inode) {
        above.fd = *std::move(fd);
        return Go::kOn;
    }
    findings_.add_problem(fmt::format("{}: moved while it was being looked at", path(left.name)));
    return Go::kStop;
}

// getdents64(2) itself, in large pieces.
Status TreeWalk::list(Frame& frame) {
    if (::fchdir(frame.fd.get()) < 0) return fail_errno(errno, "fchdir");
    alignas(struct dirent64) std::array<char, 65536> buffer;
    for (;;) {
        ssize_t size = ::getdents64(frame.fd.get(), buffer.data(), buffer.size());
        int code = errno;
        if (size < 0 && code == ENOENT) return {};  // it was removed
        if (size < 0) return fail_errno(code, "list");
        if (size == 0) return {};
        for (ssize_t at = 0; at < size;) {
            const auto* entry = reinterpret_cast<const struct dirent64*>(buffer.data() + at);
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                look_at_entry(frame, entry->d_name);
            at += entry->d_reclen;
        }
    }
}

void TreeWalk::look_at_entry(Frame& frame, const char* name) {
    struct statx stx{};
    if (::statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kWanted, &stx) < 0) {
        int code = errno;
        if (!is_gone(code)) findings_.add_problem(fmt::format("{}: {}", path(name), strerrordesc_np(code)));
        return;
    }
    note(stx, name, AT_SYMLINK_NOFOLLOW, [&] { return path(name); });
    if (S_ISDIR(stx.stx_mode)) frame.directories.emplace_back(name);
}

void TreeWalk::look(BorrowedFd object, BorrowedFd proc_fds, const std::string& label) {
    struct statx stx{};
    if (::statx(object.get(), "", AT_EMPTY_PATH, kWanted, &stx) < 0 || ::fchdir(proc_fds.get()) < 0) {
        int code = errno;
        return findings_.add_problem(fmt::format("{}: {}", label, strerrordesc_np(code)));
    }
    // An O_PATH descriptor has no attributes of its own; what the link in /proc leads to has.
    note(stx, fmt::format("{}", object.get()).c_str(), 0, [&] { return label; });
}

void TreeWalk::note(const struct statx& stx, const char* name, int flags, const Findings::Where& where) {
    tick_();
    std::vector<uint32_t> ids{stx.stx_uid, stx.stx_gid};
    // A symbolic link has neither a list nor a capability.
    if (!S_ISLNK(stx.stx_mode))
        if (auto status = append_xattrs(name, flags, ids); !status)
            findings_.add_problem(fmt::format("{}: {}", where(), status.error().what()));
    findings_.add(ids, where);
}

Status TreeWalk::append_xattrs(const char* name, int flags, std::vector<uint32_t>& ids) {
    bool follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
    auto* list_names = follow ? ::listxattr : ::llistxattr;
    ssize_t size = list_names(name, names_.data(), names_.size());
    if (size < 0 && (errno == EOPNOTSUPP || is_gone(errno))) return {};
    if (size < 0) return fail_errno(errno, "list extended attributes");
    for (const char* at = names_.data(); at < names_.data() + size; at += strlen(at) + 1) {
        if (!may_name_ids(at)) continue;
        auto* get = follow ? ::getxattr : ::lgetxattr;
        ssize_t length = get(name, at, value_.data(), value_.size());
        if (length < 0 && (errno == ENODATA || is_gone(errno))) continue;
        if (length < 0) return fail_errno(errno, at);
        TRY(append_xattr_ids(at, {value_.data(), static_cast<size_t>(length)}, ids));
    }
    return {};
}

std::string TreeWalk::path(std::string_view name) const {
    std::string whole = label_ == "/" ? "" : label_;
    for (const Frame& frame : frames_)
        if (!frame.name.empty()) whole += "/" + frame.name;
    if (!name.empty()) whole.append("/").append(name);
    return whole.empty() ? "/" : whole;
}

}  // namespace nsr::reclaim
