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
enum class Progress { kPending, kCommitted };

/// The directory of records. Look-ups take no lock and give what is there at that moment: nullopt where there is no
/// file, an error where the file is broken or does not agree with its name (the caller logs it and treats the thing
/// asked for as taken). Changes take the lock and leave, wherever they are killed, something that recover() or the
/// manager's look into pending() puts right.
class Store {
public:
    /// Makes what is missing below `base_dir` (/run/systemd by default): nsresource/registry/, nsresource/pending/, the
    /// lock.
    static Result<Store> open(BorrowedFd base_dir);

    /// Waits for the lock, five seconds at most (ETIMEDOUT). Not recursive: who holds it and asks again waits in vain.
    Result<Lock> lock() const;

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

    /// Records a registration, its delegated ranges included, and that `writer` has not finished yet: until commit()
    /// the call counts as half done. EEXIST: the namespace, the name or the range has a record already. Nothing remains
    /// of a failed call.
    Status add(const Lock& lock, const Registration& registration, pid_t writer);
    /// The call is done (its maps are written). ENOENT: somebody took the writer for dead and undid it.
    Status commit(pid_t writer);
    /// Writes anew what is known of a registration: its cgroups, interfaces and whatever else is not part of a name.
    /// Readers see the old record or the new one.
    Status update(const Lock& lock, const Registration& registration);
    /// Takes back everything that add() made, but for the pending record; delegated ranges go to the last ancestor. No
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

    /// Whether the call that made a registration has come to its end. ENOENT: there is no entry.
    Result<Progress> progress(const Registration& registration) const;
    /// Records what `writer` is about to add to a registration, which is all that `added` lists of cgroups and
    /// interfaces; until end_addition() it counts as half done.
    Status begin_addition(const Lock& lock, const Registration& added, pid_t writer);
    Status end_addition(pid_t writer);
    /// nullopt: nothing is half added, or what is recorded of it was cut off before anything else was done.
    Result<std::optional<Registration>> read_addition(pid_t writer) const;

    /// The writers that have something half done, dead or alive; some twice.
    Result<std::vector<pid_t>> pending() const;
    /// What a writer has not finished. nullopt: nothing is recorded of it (the writer died before the first link, or
    /// there is no such pending record), so drop_pending() is all there is to do. Else remove() (or a decision to keep)
    /// goes first.
    Result<std::optional<Registration>> read_pending(pid_t writer) const;
    /// No error where there is none.
    Status drop_pending(pid_t writer);

    /// Gives a delegated range to the last of its ancestors that has a registration which lists it, if its holder has
    /// none; for recover().
    Status settle_delegation(const Lock& lock, Uid start);

    /// nsresource/registry and nsresource, for recover().
    BorrowedFd registry_dir() const { return registry_.borrow(); }
    BorrowedFd state_dir() const { return state_.borrow(); }

private:
    Store(UniqueFd state, UniqueFd registry, UniqueFd pending)
        : state_(std::move(state)), registry_(std::move(registry)), pending_(std::move(pending)) {}

    Status take_delegations(const Registration& registration);
    Status give_back_delegations(const Registration& registration);
    Status hand_over_delegations(const Registration& from, NsInode to);
    Result<Registration> make_aside(const Registration& registration) const;
    Status write_delegation(const Delegation& delegation);
    Status remove_delegation(Uid start);
    Status replace_files(const std::string& text, std::span<const std::string> files);

    UniqueFd state_;
    UniqueFd registry_;
    UniqueFd pending_;
};

}  // namespace nsr::registry
