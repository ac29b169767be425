// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "registry/delegation.h"
#include "registry/new_record.h"
#include "registry/registration.h"

namespace nsr::registry {

/// The exclusive lock of the registry, held for as long as this lives. Never to be held while waiting for another
/// process.
class Lock {
public:
    explicit Lock(UniqueFd fd) : fd_(std::move(fd)) {}

private:
    UniqueFd fd_;
};

enum class Taken { kFree, kTaken };

/// What tells the directory of this registry and its lock from any others of the same names.
struct Home {
    uint32_t registry_device = 0, lock_device = 0;
    uint64_t registry_inode = 0, lock_inode = 0;
    bool operator==(const Home&) const = default;
};

/// The directory of records. Look-ups take no lock and give what is there at that moment: nullopt where there is no
/// file, an error where the file is broken or does not agree with its name (the caller logs it and treats the thing
/// asked for as taken). Changes take the lock and leave, wherever they are killed, something that recover() puts right,
/// or what the journal of the caller's says of it (lifecycle/journal.h).
class Store {
public:
    /// Makes what is missing below `base_dir` (/run/systemd by default): nsresource/registry/, and the lock in it.
    static Result<Store> open(BorrowedFd base_dir);

    /// Waits for the lock, five seconds at most (ETIMEDOUT). Not recursive: who holds it and asks again waits in vain.
    /// ESTALE: the registry is not the one that was opened: another process has emptied, moved or replaced it.
    Result<Lock> lock() const;
    /// The registry that was opened.
    const Home& home() const { return home_; }
    /// For a process that works on the same registry as another one does.
    void expect(const Home& home) { home_ = home; }
    /// The one that has its name now. ENOENT: none has.
    Result<Home> current_home() const;

    /// Serialises releases, which take longer than the lock of the registry may be held: what one of them is about to
    /// remove by its name must not be made anew meanwhile. To be held for one turn of releases, and taken before
    /// lock(). Five seconds at most for each that waits before (ETIMEDOUT).
    Result<Lock> lock_releases() const;

    Result<std::optional<Registration>> find_by_inode(NsInode inode) const;
    /// nullopt also for what cannot be a name.
    Result<std::optional<Registration>> find_by_name(std::string_view name) const;
    /// By the first id of a transient range.
    Result<std::optional<Registration>> find_by_start(Uid start) const;
    Result<std::optional<Registration>> find_by_start_gid(Gid start) const;

    /// Whether a file says that the transient range from `start` on is held or delegated; its content does not matter.
    Result<Taken> range_taken(Uid start) const;
    /// Whether the range is delegated; with range_taken() and add(), which meets all other files itself.
    Result<Taken> delegation_taken(Uid start) const;
    Result<Taken> name_taken(std::string_view name) const;
    Result<Taken> entry_taken(NsInode inode) const;
    /// The namespaces of the registrations that `owner` has.
    Result<std::vector<NsInode>> owned(Uid owner) const;
    /// All uids that have registrations, and some that had; one pass over the directory.
    Result<std::vector<Uid>> owners() const;
    /// All registered namespaces, in no order; one pass over the directory, nothing is read.
    Result<std::vector<NsInode>> inodes() const;
    /// The starts of all ranges that range_taken() says are taken, in no order, some twice; one pass over the
    /// directory.
    Result<std::vector<Uid>> taken_starts() const;

    /// Who holds a delegated range; nullopt: nobody.
    Result<std::optional<Delegation>> find_delegation(Uid start) const;

    /// Records a registration, its delegated ranges included. EEXIST: the namespace, the name or the range has a record
    /// already. Nothing remains of a failed call, unless that fails, too; remove() takes the rest away then.
    Status add(const Lock& lock, const Registration& registration);
    /// Makes the file for the next add() ahead, while no client waits.
    void prepare();
    /// Writes anew what is known of a registration: its cgroups, interfaces and whatever else is not part of a name.
    /// Readers see the old record or the new one.
    Status update(const Lock& lock, const Registration& registration);
    /// Takes back everything that add() made; delegated ranges go to the last ancestor. No
    /// error where some or all is missing already; what belongs to another registration by now is left alone.
    Status remove(const Lock& lock, const Registration& registration);

    /// Records a registration of a dead namespace whose links are removed once more, under an inode number and a name
    /// that are in no caller's way, and its ranges under that record alone; for remove() of the old one, which then
    /// leaves the ranges taken. Gives the new one; the same one if it is done again. EEXIST: there is no room.
    Result<Registration> set_aside(const Lock& lock, const Registration& registration);
    enum class Ranges { kHeld, kElsewhere };
    /// Whether the ranges that a registration lists are held by its record, or, since set_aside() was cut short, by
    /// another one, which may even be released by now. kHeld where it lists none.
    Result<Ranges> ranges_of(const Registration& registration) const;

    /// Removes what processes that were killed in update() or set_aside() have left beside the registry.
    Status remove_leftovers(const Lock& lock);

    /// Gives a delegated range to the last of its ancestors that has a registration which lists it, if its holder has
    /// none; for recover().
    Status settle_delegation(const Lock& lock, Uid start);

    /// nsresource/registry and nsresource, for recover().
    BorrowedFd registry_dir() const { return registry_.borrow(); }
    BorrowedFd state_dir() const { return state_.borrow(); }

private:
    Store(UniqueFd base, UniqueFd state, UniqueFd registry, UniqueFd lock, Home home)
        : base_(std::move(base)),
          state_(std::move(state)),
          registry_(std::move(registry)),
          lock_(std::move(lock)),
          home_(home) {}

    Status take_delegations(const Registration& registration);
    Status give_back_delegations(const Registration& registration);
    Status hand_over_delegations(const Registration& from, NsInode to);
    Result<Registration> make_aside(const Registration& registration) const;
    Status write_delegation(const Delegation& delegation);
    Status remove_delegation(Uid start);
    Status replace_files(const std::string& text, std::span<const std::string> files);

    UniqueFd base_;
    UniqueFd state_;
    UniqueFd registry_;
    UniqueFd lock_;  ///< open, so that its inode number is given to no other file
    Home home_;
    std::optional<NewRecord> blank_;  ///< for the next add()
};

}  // namespace nsr::registry
