// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "ranges/bit_file.h"
#include "ranges/candidates.h"
#include "ranges/pool.h"
#include "ranges/used_before.h"

namespace nsr::ranges {

/// What has ever been handed out, so that at the level `quarantine` no range is handed out twice, in this boot or a
/// later one (design.md section 3). Three files:
///
/// `<state_dir>/used`: the ranges that may carry files of somebody. Its bits only go up (but for give_back() and
/// clear()), so a torn write leaves each bit old or new, and none of the new ones counts before fdatasync(2) has
/// answered.
/// `<runtime_dir>/nsresource/fresh`, on a tmpfs: the ready ranges, which are used in the first file already, durably,
/// and which nobody has got yet. Taking one clears its bit here, and waits for no disk.
/// `<state_dir>/used-before`: which of the used ones were used before this boot and not since; see UsedBefore, whose
/// begin_boot() the service calls before open(). Without it none is known to be.
///
/// A process that is killed anywhere loses the ranges it was about to move, and never makes one available twice. Any
/// number of processes may have the set open; a lock on each file, of its own, orders them: the caller's registry lock
/// is not needed, and must not be held (rule 4). Errors mean that nothing was handed out.
class UsedSet {
public:
    /// Ranges of each pool that are made ready ahead.
    static constexpr uint32_t kBlock = 64;

    enum class Verdict { kAcceptable, kTaken };
    /// Asked about the start of a range, with no lock of this class held: may it be handed out? (Not in the registry,
    /// not known to the host.) An Error ends the call and is passed on; the range in question stays available.
    using Judge = std::function<Result<Verdict>(Uid start)>;

    /// Makes what is missing: absent files are a first start. `runtime_dir` is what --runtime-dir names; its
    /// `nsresource` is made (0755). A broken or hostile `used` is an error, see BitFile::open(); such a `fresh` is
    /// moved to `fresh.damaged` and made anew, without a ready range in it.
    static Result<UsedSet> open(BorrowedFd state_dir, BorrowedFd runtime_dir);

    /// The start of a range that was never handed out: the first of the ready ones, in the given order, that is
    /// acceptable. Where no ready one fits the order, another is marked right now, which waits for the disk. Nothing:
    /// all ranges of this order are used up or taken (NoDynamicRange; only `nsresourcectl reclaim` helps). A ready
    /// range that is found taken is not ready any more: whoever has it may leave files behind.
    Result<std::optional<Uid>> take(const Candidates& order, const Judge& judge);

    /// Makes a range that take() gave available again: only where no process ever had its ids.
    Status return_unused(Uid start);
    /// Marks the ranges that begin there, durably: of the live registrations found at start. EINVAL: no range does.
    Status mark_used(std::span<const Uid> starts);

    enum class State { kUnused, kUsed };
    /// Whether the range was ever marked; ready ones were. EINVAL: no range begins there.
    Result<State> state_of(Uid start) const;

    enum class Supply { kPlenty, kLow };
    /// kLow: fewer than half a block is ready; call refill() when nobody waits for an answer any more.
    Result<Supply> supply(const Pool& pool) const;
    /// Brings the ready ranges up to a block, spread over the pool; waits for the disk. Nothing is done while there is
    /// plenty. Of several at the same time one does the work.
    Status refill(const Pool& pool, const Judge& judge);

    /// The ranges of a pool that somebody has or had: used, and not ready.
    Result<Bitmap> handed_out(const Pool& pool) const;
    /// The same without waiting for any lock, and so for a disk: a range that is just being made ready may be missing
    /// or among them.
    Result<Bitmap> spent(const Pool& pool) const;
    /// Used ranges that were last used before this boot: no process of then is left that could hide anything.
    Result<Bitmap> used_before(const Pool& pool) const;
    /// Makes ranges unused, durably: only those that no namespace has, and of which nothing is left anywhere. Ready
    /// ones, and those that were used in this boot, stay as they are. EINVAL: no range begins there.
    Status clear(std::span<const Uid> starts);

    /// At a clean stop, when nobody takes any more: what is ready becomes unused again.
    Status give_back();
    /// How many ranges can still be handed out, ready ones included.
    Result<uint32_t> remaining(const Pool& pool) const;

private:
    UsedSet(BitFile used, BitFile fresh, UsedBefore before)
        : used_(std::move(used)), fresh_(std::move(fresh)), before_(std::move(before)) {}

    Status begin();
    Result<std::optional<uint32_t>> take_ready(const Candidates& order);
    Result<std::optional<uint32_t>> take_unused(const Candidates& order, const Judge& judge);
    Status raise(const BitFile::Lock& used_lock, const Pool& pool, const Bitmap& ranges);
    Status put_back(const Pool& pool, uint32_t index);
    Result<std::vector<uint32_t>> find_acceptable(const Pool& pool, uint32_t wanted, const Judge& judge) const;
    Status give_back(const BitFile::Lock& used_lock, const Pool& pool);
    Status mark_used(const BitFile::Lock& used_lock, const Pool& pool, std::span<const Uid> starts);
    Status clear(const BitFile::Lock& used_lock, const Pool& pool, std::span<const Uid> starts);

    BitFile used_;
    BitFile fresh_;
    UsedBefore before_;
};

}  // namespace nsr::ranges
