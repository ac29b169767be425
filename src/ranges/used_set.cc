// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/used_set.h"

#include <fcntl.h>
#include <algorithm>
#include <string>

#include "base/log.h"
#include "base/sys.h"
#include "ranges/epoch.h"

// The locks are always taken in this order: `used`, then `fresh`. The one on `fresh` is held for a few system calls on
// a tmpfs; the one on `used` also while waiting for the disk. Neither is held while a judge is asked.

namespace nsr::ranges {

namespace {

/// Ranges that refill() has judged at most: on a host where others use most of the pool it must come to an end.
constexpr uint32_t kMaxJudged = 16 * UsedSet::kBlock;

/// What is ready is used in the other file as well, so without it nothing is handed out twice: the ranges are lost
/// until they are reclaimed, and that is no reason to serve nobody. It stays there for people to look at.
Result<BitFile> open_ready_ranges(BorrowedFd dir) {
    Result<BitFile> file = BitFile::open(dir, "fresh");
    if (file || !BitFile::is_damage(file.error())) return file;
    log::warning("Ready ranges: {}; it is set aside as fresh.damaged", file.error().what());
    TRY(sys::rename_at(dir, "fresh", dir, "fresh.damaged"));
    return BitFile::open(dir, "fresh");
}

Result<uint32_t> index_of(Uid start) {
    const Pool* pool = pool_of_id(start.value);
    std::optional<uint32_t> index = pool ? pool->index_of(start) : std::nullopt;
    if (!index) return fail(EINVAL, "no range begins at {}", start);
    return *index;
}

}  // namespace

Result<UsedSet> UsedSet::open(BorrowedFd state_dir, BorrowedFd runtime_dir) {
    BitFile used = TRY_WITHIN("state of used ranges", BitFile::open(state_dir, "used"));
    if (TRY(used.epoch()) != 0) return fail(EBADMSG, "state of used ranges: used has an unknown header");
    TRY(sys::ensure_directory(runtime_dir, "nsresource", 0755));
    UniqueFd own_dir = TRY(sys::open_at(runtime_dir, "nsresource", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    BitFile fresh = TRY_WITHIN("ready ranges", open_ready_ranges(own_dir.borrow()));
    UsedBefore before = TRY_WITHIN("ranges used before this boot", UsedBefore::open(state_dir));
    UsedSet set(std::move(used), std::move(fresh), std::move(before));
    TRY_WITHIN("ready ranges", set.begin());
    return set;
}

Status UsedSet::begin() {
    uint64_t epoch = TRY(boot_epoch_of(used_));
    BitFile::Lock used_lock = TRY(used_.lock());
    BitFile::Lock fresh_lock = TRY(fresh_.lock());
    if (TRY(fresh_.epoch()) == epoch) return {};
    return fresh_.start_epoch(fresh_lock, epoch);
}

Result<std::optional<Uid>> UsedSet::take(const Candidates& order, const Judge& judge) {
    const Pool& pool = order.pool();
    for (;;) {
        std::optional<uint32_t> index = TRY(take_ready(order));
        if (!index) break;
        Result<Verdict> verdict = judge(pool.start_of(*index));
        if (!verdict) {
            TRY(put_back(pool, *index));
            return Failure(std::move(verdict).error());
        }
        if (*verdict == Verdict::kAcceptable) return pool.start_of(*index);
    }
    std::optional<uint32_t> index = TRY(take_unused(order, judge));
    if (!index) return std::optional<Uid>();
    return pool.start_of(*index);
}

Result<std::optional<uint32_t>> UsedSet::take_ready(const Candidates& order) {
    const Pool& pool = order.pool();
    BitFile::Lock lock = TRY(fresh_.lock());
    Bitmap ready = TRY(fresh_.read(pool));
    if (ready.count() == 0) return std::optional<uint32_t>();
    std::optional<uint32_t> index = order.first_free(ready.inverted());
    if (!index) return index;
    ready.clear(*index);
    TRY(fresh_.write(lock, pool, ready));
    return index;
}

Result<std::optional<uint32_t>> UsedSet::take_unused(const Candidates& order, const Judge& judge) {
    const Pool& pool = order.pool();
    Bitmap passed = TRY(used_.read(pool));
    for (;;) {
        std::optional<uint32_t> index = order.first_free(passed);
        if (!index) return index;
        passed.set(*index);
        if (TRY(judge(pool.start_of(*index))) == Verdict::kTaken) continue;

        BitFile::Lock lock = TRY(used_.lock());
        Bitmap used = TRY(used_.read(pool));
        if (used.test(*index)) continue;  // somebody was faster
        Bitmap added(pool.count());
        added.set(*index);
        TRY(raise(lock, pool, added));
        return index;
    }
}

// The record of older ranges first: killed in between, one that was freed in this boot is not taken for older.
Status UsedSet::raise(const BitFile::Lock& used_lock, const Pool& pool, const Bitmap& ranges) {
    TRY(before_.remove(used_lock, pool, ranges));
    Bitmap used = TRY(used_.read(pool));
    Bitmap added = ranges;
    added -= used;
    if (added.count() == 0) return {};  // and on the disk by now
    used |= added;
    TRY(used_.write(used_lock, pool, used));
    return used_.sync();
}

Status UsedSet::return_unused(Uid start) {
    uint32_t index = TRY(index_of(start));
    return put_back(*pool_of_id(start.value), index);
}

Status UsedSet::put_back(const Pool& pool, uint32_t index) {
    BitFile::Lock lock = TRY(fresh_.lock());
    Bitmap ready = TRY(fresh_.read(pool));
    ready.set(index);
    return fresh_.write(lock, pool, ready);
}

Status UsedSet::mark_used(std::span<const Uid> starts) {
    for (Uid start : starts) TRY(index_of(start));
    BitFile::Lock lock = TRY(used_.lock());
    for (const Pool* pool : kPools) TRY(mark_used(lock, *pool, starts));
    return {};
}

Status UsedSet::mark_used(const BitFile::Lock& used_lock, const Pool& pool, std::span<const Uid> starts) {
    Bitmap live(pool.count());
    for (Uid start : starts)
        if (auto index = pool.index_of(start)) live.set(*index);
    if (live.count() == 0) return {};
    TRY(raise(used_lock, pool, live));
    BitFile::Lock fresh_lock = TRY(fresh_.lock());
    Bitmap ready = TRY(fresh_.read(pool));
    ready -= live;
    return fresh_.write(fresh_lock, pool, ready);
}

Result<UsedSet::State> UsedSet::state_of(Uid start) const {
    uint32_t index = TRY(index_of(start));
    Bitmap used = TRY(used_.read(*pool_of_id(start.value)));
    return used.test(index) ? State::kUsed : State::kUnused;
}

Result<UsedSet::Supply> UsedSet::supply(const Pool& pool) const {
    Bitmap ready = TRY(fresh_.read(pool));
    if (ready.count() >= kBlock / 2) return Supply::kPlenty;
    // Where all ranges are used a refill would find none, each time.
    Bitmap used = TRY(used_.read(pool));
    return used.count() < pool.count() ? Supply::kLow : Supply::kPlenty;
}

Status UsedSet::refill(const Pool& pool, const Judge& judge) {
    Bitmap ready_before = TRY(fresh_.read(pool));
    if (ready_before.count() >= kBlock / 2) return {};
    std::vector<uint32_t> found = TRY(find_acceptable(pool, kBlock - ready_before.count(), judge));
    if (found.empty()) return {};

    BitFile::Lock used_lock = TRY(used_.lock());
    if (TRY(supply(pool)) == Supply::kPlenty) return {};  // another refill was faster
    Bitmap used = TRY(used_.read(pool));
    Bitmap added(pool.count());
    for (uint32_t index : found)
        if (!used.test(index)) added.set(index);
    // Only after this are they known to stay used through a power failure; before, no caller may get them.
    TRY(raise(used_lock, pool, added));
    BitFile::Lock fresh_lock = TRY(fresh_.lock());
    Bitmap ready = TRY(fresh_.read(pool));
    ready |= added;
    return fresh_.write(fresh_lock, pool, ready);
}

Result<std::vector<uint32_t>> UsedSet::find_acceptable(const Pool& pool, uint32_t wanted, const Judge& judge) const {
    Bitmap passed = TRY(used_.read(pool));
    // Another order each time, or the same taken ranges would be in the way of every refill.
    Candidates order(pool, std::span(&kAllIds, 1), fmt::format("refill {}", sys::now_usec()));
    std::vector<uint32_t> found;
    for (uint32_t judged = 0; judged < kMaxJudged && found.size() < wanted; judged++) {
        std::optional<uint32_t> index = order.first_free(passed);
        if (!index) break;
        passed.set(*index);
        if (TRY(judge(pool.start_of(*index))) == Verdict::kAcceptable) found.push_back(*index);
    }
    return found;
}

Status UsedSet::give_back() {
    BitFile::Lock lock = TRY(used_.lock());
    for (const Pool* pool : kPools) TRY(give_back(lock, *pool));
    return {};
}

Status UsedSet::give_back(const BitFile::Lock& used_lock, const Pool& pool) {
    Bitmap ready(pool.count());
    {
        // First nobody can get them any more, then they are unused: the other way round, a death in between would
        // leave ranges that can be taken now and marked again later.
        BitFile::Lock fresh_lock = TRY(fresh_.lock());
        ready = TRY(fresh_.read(pool));
        TRY(fresh_.write(fresh_lock, pool, Bitmap(pool.count())));
    }
    if (ready.count() == 0) return {};
    Bitmap used = TRY(used_.read(pool));
    used -= ready;
    TRY(used_.write(used_lock, pool, used));
    return used_.sync();
}

Result<Bitmap> UsedSet::handed_out(const Pool& pool) const {
    // Both under their locks: a refill between the two looks would let ranges that were just marked seem taken.
    BitFile::Lock used_lock = TRY(used_.lock());
    BitFile::Lock fresh_lock = TRY(fresh_.lock());
    Bitmap handed_out = TRY(used_.read(pool));
    handed_out -= TRY(fresh_.read(pool));
    return handed_out;
}

Result<Bitmap> UsedSet::spent(const Pool& pool) const {
    Bitmap spent = TRY(used_.read(pool));
    spent -= TRY(fresh_.read(pool));
    return spent;
}

Result<Bitmap> UsedSet::used_before(const Pool& pool) const {
    BitFile::Lock lock = TRY(used_.lock());
    return before_.read(pool);
}

Status UsedSet::clear(std::span<const Uid> starts) {
    for (Uid start : starts) TRY(index_of(start));
    BitFile::Lock lock = TRY(used_.lock());
    for (const Pool* pool : kPools) TRY(clear(lock, *pool, starts));
    return {};
}

// A range can only become ready while its bit in `used` is down, or by return_unused(); the latter is why those that
// are ready are looked at here, with both locks held until the bits are down.
Status UsedSet::clear(const BitFile::Lock& used_lock, const Pool& pool, std::span<const Uid> starts) {
    Bitmap cleared(pool.count());
    for (Uid start : starts)
        if (auto index = pool.index_of(start)) cleared.set(*index);
    if (cleared.count() == 0) return {};
    {
        BitFile::Lock fresh_lock = TRY(fresh_.lock());
        cleared -= TRY(fresh_.read(pool));
        cleared -= TRY(before_.read(pool)).inverted();
        // First, so that a range which is handed out again in this boot cannot be cleared again in this boot.
        TRY(before_.remove(used_lock, pool, cleared));
        Bitmap used = TRY(used_.read(pool));
        used -= cleared;
        TRY(used_.write(used_lock, pool, used));
    }
    return used_.sync();
}

Result<uint32_t> UsedSet::remaining(const Pool& pool) const {
    Bitmap used = TRY(used_.read(pool));
    Bitmap ready = TRY(fresh_.read(pool));
    return pool.count() - used.count() + ready.count();
}

}  // namespace nsr::ranges
