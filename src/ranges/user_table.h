// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "ranges/bitmap.h"
#include "ranges/pool.h"

namespace nsr::ranges {

/// Registrations of one user (interface.md section 2, common rules).
inline constexpr uint32_t kMaxRegistrationsPerUser = 256;
/// How many ranges of a pool one user but root may use up at the level `quarantine`: a sixteenth.
constexpr uint32_t share_of(const Pool& pool) { return pool.count() / 16; }

/// Which user is behind a uid, and what each user has. One allocation gives its owner 65,536 further uids, so a bound
/// by uid is no bound: a uid in a range that was handed out counts as the user who got the range. Every range names its
/// user directly, so nested ranges need no walk (doc/decisions/who-is-a-user.md).
///
/// The table is the file `users` in memory that all processes of an instance share: only open() and make() make system
/// calls. A range keeps its user after its release, until it is handed out again or forget() is called: programs that
/// are owned by its ids may outlive it at levels other than `enforce`.
class UserTable {
public:
    /// The account of all callers whose ids are in the foreign range (interface.md section 2, mapForeign): every user
    /// can have these ids, so they share one account.
    static constexpr Uid kForeignUser{2147352576};

    /// `<dir>/users`. ENOENT: it is not there. EBADMSG, ELOOP: what is there is not a table, or not a whole one.
    static Result<UserTable> open(BorrowedFd dir);
    /// The same, for a process that may not change it; it must only call const functions.
    static Result<UserTable> open_for_reading(BorrowedFd dir);
    /// A new `<dir>/users` (0644) in place of whatever is there; all its memory is allocated now, since a write to a
    /// file system that is full would kill the process later. `marks` are those of another table, or empty. The caller
    /// makes sure that no other process does the same at that moment.
    static Result<UserTable> make(BorrowedFd dir, std::span<const uint32_t> marks);

    UserTable(UserTable&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    UserTable& operator=(UserTable&&) = delete;
    ~UserTable();

    /// The user whom a uid counts as; the uid itself where it is in no range that was handed out.
    Uid user_of(Uid uid) const;

    /// The ids of the range that begins there count as `user` from now on. What begins no range is passed over.
    void assign(Uid start, Uid user);
    /// The ids of the range count as themselves again.
    void forget(Uid start);
    enum class Knowledge { kUnknown, kKnown };
    /// Whether the range that begins there names a user.
    Knowledge knowledge_of(Uid start) const;
    /// How many ranges of a pool name this user; `among` has a bit for each range, those without it do not count.
    uint32_t count_ranges(const Pool& pool, Uid user) const;
    uint32_t count_ranges(const Pool& pool, Uid user, const Bitmap& among) const;
    /// All ranges of both pools, for a copy: a number for each, which says whom it names.
    static constexpr size_t kMarks = kContainerPool.count() + kDynamicPool.count();
    std::vector<uint32_t> marks() const;

    /// How many registrations this user has, with or without a range. Counts are changed with the registry lock held;
    /// who looks without it may see a count that is just being changed.
    uint32_t count_registrations(Uid user) const;
    /// ENOSPC: the table has no room for another user.
    Status add_registration(Uid user);
    void remove_registration(Uid user);
    struct Count {
        Uid user;
        uint32_t registrations;
    };
    /// Forgets all counts of registrations, and sets these; no user may come twice.
    Status rebuild_counts(std::span<const Count> counts);
    /// Gives one process in each second the turn to find out whether the counts are right.
    enum class Turn { kOurs, kNot };
    Turn take_turn(uint64_t now_usec);

private:
    explicit UserTable(std::span<std::byte> bytes) : bytes_(bytes) {}

    std::span<std::byte> bytes_;
};

}  // namespace nsr::ranges
