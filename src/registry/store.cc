// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/store.h"

#include <fcntl.h>

#include "base/sys.h"
#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/names.h"
#include "registry/record_file.h"

namespace nsr::registry {

namespace {

constexpr uint64_t kLockTimeoutUsec = 5'000'000;

constexpr char kRegistryPath[] = "nsresource/registry";
constexpr char kLockPath[] = "nsresource/registry/lock";

Home home_of(const struct stat& registry, const struct stat& lock) {
    return {static_cast<uint32_t>(registry.st_dev), static_cast<uint32_t>(lock.st_dev), registry.st_ino, lock.st_ino};
}

Result<Taken> any_exists(BorrowedFd dir, std::initializer_list<std::string> files) {
    for (const auto& file : files) {
        auto st = sys::stat_at(dir, file);
        if (st) return Taken::kTaken;
        if (st.error().code() != ENOENT) return std::unexpected(std::move(st).error());
    }
    return Taken::kFree;
}

// A file under a wrong name would lend its range or name to somebody else.
Result<std::optional<Registration>> agreeing(Result<std::optional<Registration>> found, const std::string& file,
                                             bool (*agrees)(const Registration&, const FileName&)) {
    if (!found || !*found || agrees(**found, parse_file_name(file))) return found;
    return fail(EBADMSG, "{}: the record does not agree with its name", file);
}

}  // namespace

Result<Store> Store::open(BorrowedFd base_dir) {
    UniqueFd base = TRY(sys::open_at(base_dir, ".", O_RDONLY | O_DIRECTORY));
    UniqueFd state = TRY(make_directory(base_dir, "nsresource"));
    UniqueFd registry = TRY(make_directory(state.borrow(), "registry"));
    constexpr int kFlags = O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd lock = TRY(sys::open_at(registry.borrow(), "lock", kFlags, 0600));
    auto registry_stat = TRY(sys::stat_fd(registry.borrow()));
    Home home = home_of(registry_stat, TRY(sys::stat_fd(lock.borrow())));
    return Store(std::move(base), std::move(state), std::move(registry), std::move(lock), home);
}

Result<Home> Store::current_home() const {
    auto registry = TRY(sys::stat_at(base_.borrow(), kRegistryPath));
    auto lock = TRY(sys::stat_at(base_.borrow(), kLockPath));
    return home_of(registry, lock);
}

// By its path, and not made anew where it is gone: whoever has emptied or replaced the registry may not even know that
// there is a service, and ranges of living namespaces look free then.
Result<Lock> Store::lock() const {
    // flock(2) belongs to the open file description, and forked processes share those: only a new one excludes them.
    auto fd = sys::open_at(base_.borrow(), kLockPath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    bool is_gone = !fd && (fd.error().code() == ENOENT || fd.error().code() == ENOTDIR);
    if (is_gone) return fail(ESTALE, "the registry was removed");
    if (!fd) return Failure(std::move(fd).error());
    TRY_WITHIN("registry", sys::lock_exclusively(fd->borrow(), kLockTimeoutUsec));
    auto home = current_home();
    if (!home || *home != home_) return fail(ESTALE, "the registry was emptied, moved or replaced");
    return Lock(std::move(*fd));
}

// Who waits for the lock has the second one meanwhile. Otherwise releases that follow each other closely, turn by turn,
// could take the first again and again between two looks of a caller that waits.
Result<Lock> Store::lock_releases() const {
    constexpr int kFlags = O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd next = TRY(sys::open_at(state_dir(), "releasing.next", kFlags, 0600));
    TRY_WITHIN("releases", sys::lock_exclusively(next.borrow(), kLockTimeoutUsec));
    UniqueFd fd = TRY(sys::open_at(state_dir(), "releasing", kFlags, 0600));
    TRY_WITHIN("releases", sys::lock_exclusively(fd.borrow(), kLockTimeoutUsec));
    return Lock(std::move(fd));
}

Result<std::optional<Registration>> Store::find_by_inode(NsInode inode) const {
    std::string file = entry_file(inode);
    return agreeing(read_record(registry_dir(), file), file, [](const Registration& found, const FileName& name) {
        return found.userns.inode.value == name.number;
    });
}

Result<std::optional<Registration>> Store::find_by_name(std::string_view name) const {
    // What cannot be a name must not become part of a path either.
    if (!is_valid_name(name)) return std::nullopt;
    std::string file = name_file(name);
    return agreeing(read_record(registry_dir(), file), file,
                    [](const Registration& found, const FileName& parsed) { return found.name == parsed.name; });
}

Result<std::optional<Registration>> Store::find_by_start(Uid start) const {
    std::string file = start_file(start);
    return agreeing(read_record(registry_dir(), file), file, [](const Registration& found, const FileName& name) {
        return found.is_transient() && found.range->start.value == name.number;
    });
}

Result<std::optional<Registration>> Store::find_by_start_gid(Gid start) const {
    std::string file = start_gid_file(start);
    return agreeing(read_record(registry_dir(), file), file, [](const Registration& found, const FileName& name) {
        return found.is_transient() && found.range->start_gid.value == name.number;
    });
}

Result<Taken> Store::range_taken(Uid start) const {
    Gid gid(start.value);
    return any_exists(registry_dir(),
                      {start_file(start), delegate_file(start), start_gid_file(gid), delegate_gid_file(gid)});
}

Result<Taken> Store::delegation_taken(Uid start) const { return any_exists(registry_dir(), {delegate_file(start)}); }

Result<Taken> Store::name_taken(std::string_view name) const {
    if (!is_valid_name(name)) return fail(EINVAL, "not a name that a registration can have");
    return any_exists(registry_dir(), {name_file(name)});
}

Result<Taken> Store::entry_taken(NsInode inode) const { return any_exists(registry_dir(), {entry_file(inode)}); }

Result<std::vector<NsInode>> Store::owned(Uid owner) const {
    std::vector<NsInode> inodes;
    Status visited = visit_directory(registry_dir(), owner_directory(owner), [&](std::string_view file, uint64_t) {
        FileName name = parse_file_name(file);
        if (name.kind == FileKind::kEntry) inodes.emplace_back(name.number);
    });
    if (!visited && visited.error().code() != ENOENT) return std::unexpected(std::move(visited).error());
    return inodes;
}

Result<std::vector<Uid>> Store::owners() const {
    std::vector<Uid> owners;
    TRY(visit_directory(registry_dir(), ".", [&](std::string_view file, uint64_t) {
        FileName name = parse_file_name(file);
        if (name.kind == FileKind::kOwner) owners.emplace_back(static_cast<uint32_t>(name.number));
    }));
    return owners;
}

Result<std::vector<NsInode>> Store::inodes() const {
    std::vector<NsInode> inodes;
    TRY(visit_directory(registry_dir(), ".", [&](std::string_view file, uint64_t) {
        FileName name = parse_file_name(file);
        if (name.kind == FileKind::kEntry) inodes.emplace_back(name.number);
    }));
    return inodes;
}

Result<std::vector<Uid>> Store::taken_starts() const {
    std::vector<Uid> starts;
    TRY(visit_directory(registry_dir(), ".", [&](std::string_view file, uint64_t) {
        FileName name = parse_file_name(file);
        if (name.kind == FileKind::kStart || name.kind == FileKind::kStartGid || name.kind == FileKind::kDelegate ||
            name.kind == FileKind::kDelegateGid)
            starts.emplace_back(static_cast<uint32_t>(name.number));
    }));
    return starts;
}

}  // namespace nsr::registry
