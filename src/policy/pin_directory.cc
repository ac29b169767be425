// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/pin_directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <xxhash.h>
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "base/sys.h"
#include "policy/bpf_call.h"
#include "policy/layout.h"

namespace nsr::policy {

namespace {

constexpr char kFilesystem[] = "/sys/fs/bpf";
constexpr char kName[] = "nsresource";
constexpr char kDefaultRuntimeDir[] = "/run/systemd";
/// A symbolic link to the runtime directory that the pins belong to.
constexpr char kRuntimeLink[] = "runtime";
constexpr mode_t kMode = 0700;
constexpr int kMaxSets = 1000;
/// Another instance may be looking whether these pins are abandoned.
constexpr uint64_t kLockUsec = 5'000'000;

std::string canonical(const std::string& path) {
    char buffer[PATH_MAX];
    return realpath(path.c_str(), buffer) ? buffer : path;
}

bool is_bpf_filesystem(const char* path) {
    struct statfs fs{};
    return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

// As an init system does it at boot.
Status mount_filesystem() {
    if (is_bpf_filesystem(kFilesystem)) return {};
    int result = mount("bpf", kFilesystem, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
    int code = errno;
    if (result < 0) return fail_errno(code, "mount the file system for BPF at /sys/fs/bpf");
    return {};
}

// No namespace is registered there any more that is not dead.
bool is_done(const std::string& pins) {
    auto names = sys::list_directory(sys::kCwd, pins);
    if (!names) return false;
    for (const auto& name : *names) {
        if (!name.starts_with("maps-")) continue;
        auto map = open_pin(pins + "/" + name + "/namespaces");
        if (!map) continue;
        uint32_t inode = 0;
        for (const uint32_t* last = nullptr;; last = &inode) {
            auto next = map_next_key(map->borrow(), last, &inode);
            if (!next) return false;
            if (*next == Lookup::kAbsent) break;
            nsr_namespace value{};
            auto found = map_lookup(map->borrow(), &inode, &value);
            if (!found || (*found == Lookup::kFound && value.dead == 0)) return false;
        }
    }
    return true;
}

Status remove_tree(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return fail(error.value(), "remove {}: {}", path, error.message());
    return {};
}

Result<UniqueFd> lock_directory(const std::string& path, uint64_t timeout_usec) {
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(sys::lock_exclusively(fd.borrow(), timeout_usec));
    return fd;
}

bool is_roots_alone(const std::string& path) {
    auto st = sys::stat_at(sys::kCwd, path);
    return st && S_ISDIR(st->st_mode) && st->st_uid == 0 && (st->st_mode & 0077) == 0;
}

bool has_runtime_directory(const std::string& pins) {
    char target[PATH_MAX];
    ssize_t length = readlink((pins + "/" + kRuntimeLink).c_str(), target, sizeof target - 1);
    if (length <= 0) return true;  // nobody knows
    target[length] = '\0';
    return access(target, F_OK) == 0 || errno != ENOENT;
}

}  // namespace

PinDirectory::PinDirectory(const std::string& runtime_dir) : runtime_dir_(canonical(runtime_dir)) {
    path_ = fmt::format("{}/{}", kFilesystem, kName);
    if (runtime_dir_ != kDefaultRuntimeDir)
        path_ += fmt::format("-{:016x}", XXH3_64bits(runtime_dir_.data(), runtime_dir_.size()));
}

bool PinDirectory::is_trusted() const { return is_roots_alone(path_) && is_bpf_filesystem(path_.c_str()); }

Status PinDirectory::make() const {
    TRY(mount_filesystem());
    TRY(sys::ensure_directory(sys::kCwd, path_, kMode));
    if (!is_trusted()) return fail(EPERM, "{} is there, and not a directory that is root's alone", path_);
    Status linked = sys::symlink_at(runtime_dir_, sys::kCwd, path_of(kRuntimeLink));
    if (!linked && linked.error().code() != EEXIST) return linked;
    return {};
}

std::vector<std::string> PinDirectory::list(const std::string& prefix) const {
    if (!is_trusted()) return {};
    auto names = sys::list_directory(sys::kCwd, path_);
    if (!names) return {};
    std::erase_if(*names, [&](const std::string& name) { return !name.starts_with(prefix); });
    std::ranges::sort(*names);
    return *std::move(names);
}

Result<std::string> PinDirectory::make_new(const std::string& prefix) const {
    TRY(make());
    for (int number = 0; number < kMaxSets; ++number) {
        std::string name = fmt::format("{}{}", prefix, number);
        Status made = sys::mkdir_at(sys::kCwd, path_of(name), kMode);
        if (made) return name;
        if (made.error().code() != EEXIST) return Failure(std::move(made).error());
    }
    return fail(EEXIST, "{} is full", path_);
}

Status PinDirectory::ensure(const std::string& name) const {
    return sys::ensure_directory(sys::kCwd, path_of(name), kMode);
}

Status PinDirectory::remove(const std::string& name) const { return remove_tree(path_of(name)); }

Status PinDirectory::remove_others(const std::vector<std::string>& names) const {
    for (const auto& name : list(""))
        if (name != kRuntimeLink && std::ranges::find(names, name) == names.end()) TRY(remove(name));
    return {};
}

// A service that may write only here cannot remove the directory itself.
Status PinDirectory::remove_all() const {
    if (!is_trusted()) return {};
    for (const auto& name : list("")) TRY(remove(name));
    Status removed = sys::unlink_at(sys::kCwd, path_, AT_REMOVEDIR);
    if (!removed && removed.error().code() != EBUSY && removed.error().code() != EROFS) return removed;
    return {};
}

Result<UniqueFd> PinDirectory::lock() const { return lock_directory(path_, kLockUsec); }

void PinDirectory::remove_abandoned() {
    if (!is_bpf_filesystem(kFilesystem)) return;
    auto names = sys::list_directory(sys::kCwd, kFilesystem);
    if (!names) return;
    for (const auto& name : *names) {
        std::string path = fmt::format("{}/{}", kFilesystem, name);
        if (!name.starts_with(std::string(kName) + "-") || !is_roots_alone(path)) continue;
        if (has_runtime_directory(path)) continue;
        // It may be in another mount namespace: one that runs has the lock, and one that begins gets it only when this
        // is over.
        auto lock = lock_directory(path, 0);
        if (!lock || !is_done(path)) continue;
        if (auto removed = remove_tree(path); !removed) log::debug("{}", removed.error().what());
    }
}

}  // namespace nsr::policy
