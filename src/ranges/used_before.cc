// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/used_before.h"

#include <fcntl.h>
#include <string>

#include "base/log.h"
#include "base/sys.h"
#include "ranges/epoch.h"

namespace nsr::ranges {

namespace {

constexpr char kName[] = "used-before";

enum class Presence { kAbsent, kThere };

Result<Presence> presence_of(BorrowedFd dir, const std::string& name) {
    auto st = sys::stat_at(dir, name);
    if (st) return Presence::kThere;
    if (st.error().code() == ENOENT) return Presence::kAbsent;
    return Failure(std::move(st).error());
}

/// Whether an instance that keeps no record may have handed out ranges in this boot. A list of ready ranges of this
/// boot proves it, at the levels that have one. Where there never was a record the mere traces of an instance are
/// enough: a runtime directory is empty after a boot.
enum class Earlier { kNone, kUnrecorded };

Result<Earlier> look_for_earlier_instance(BorrowedFd runtime_dir, const BitFile& used, uint64_t recorded_epoch) {
    auto own_dir = sys::open_at(runtime_dir, "nsresource", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!own_dir && own_dir.error().code() == ENOENT) return Earlier::kNone;
    if (!own_dir) return Failure(std::move(own_dir).error());
    if (recorded_epoch == 0)
        for (const char* trace : {"taken", "fresh"}) {
            auto presence = TRY(presence_of(own_dir->borrow(), trace));
            if (presence == Presence::kThere) return Earlier::kUnrecorded;
        }
    auto fresh = BitFile::open_existing(own_dir->borrow(), "fresh");
    // A damaged one may be of this boot.
    if (!fresh) return fresh.error().code() == ENOENT ? Earlier::kNone : Earlier::kUnrecorded;
    uint64_t current = TRY(boot_epoch_of(used)), found = TRY(fresh->epoch());
    return found == current ? Earlier::kUnrecorded : Earlier::kNone;
}

/// A damaged record is set aside; the next start, should this one be killed now, finds none, and the traces of this
/// one.
struct Opened {
    BitFile file;
    enum class State { kWhole, kRenewed } state;
};

Result<Opened> open_or_renew(BorrowedFd state_dir) {
    auto file = BitFile::open(state_dir, kName);
    if (file) return Opened{*std::move(file), Opened::State::kWhole};
    if (!BitFile::is_damage(file.error())) return Failure(std::move(file).error());
    log::warning("Ranges used before this boot: {}; it is set aside as {}.damaged, and none is reclaimed in this boot",
                 file.error().what(), kName);
    TRY(sys::rename_at(state_dir, kName, state_dir, fmt::format("{}.damaged", kName)));
    return Opened{TRY(BitFile::open(state_dir, kName)), Opened::State::kRenewed};
}

Status forget_all(BitFile& file, uint64_t epoch) {
    BitFile::Lock lock = TRY(file.lock());
    return file.start_epoch(lock, epoch);
}

}  // namespace

Status UsedBefore::begin_boot(BorrowedFd state_dir, BorrowedFd runtime_dir, Reuse reuse) {
    uint64_t epoch = TRY(boot_epoch());
    if (reuse == Reuse::kAtOnce) {
        // Where no range was ever marked as used, none will be reclaimed.
        if (TRY(presence_of(state_dir, "used")) == Presence::kAbsent) return {};
        Opened before = TRY(open_or_renew(state_dir));
        return forget_all(before.file, epoch);
    }
    BitFile used = TRY(BitFile::open(state_dir, "used"));
    Opened before = TRY(open_or_renew(state_dir));
    uint64_t recorded = TRY(before.file.epoch());
    if (recorded == epoch) return {};
    auto earlier = TRY(look_for_earlier_instance(runtime_dir, used, recorded));
    if (before.state == Opened::State::kRenewed || earlier == Earlier::kUnrecorded)
        return forget_all(before.file, epoch);
    BitFile::Lock lock = TRY(used.lock());
    // The epoch last: killed before, this start has handed out nothing, and the next one begins again.
    for (const Pool* pool : kPools) {
        Bitmap bits = TRY(used.read(*pool));
        TRY(before.file.write(lock, *pool, bits));
    }
    return before.file.set_epoch(lock, epoch);
}

Result<UsedBefore> UsedBefore::open(BorrowedFd state_dir) {
    auto file = BitFile::open_existing(state_dir, kName);
    if (file) return UsedBefore(*std::move(file));
    if (file.error().code() == ENOENT || BitFile::is_damage(file.error())) return UsedBefore(std::nullopt);
    return Failure(std::move(file).error());
}

Result<UsedBefore::Record> UsedBefore::record() const {
    if (!file_) return Record::kNone;
    uint64_t current = TRY(boot_epoch()), found = TRY(file_->epoch());
    return found == current ? Record::kOfThisBoot : Record::kNone;
}

Result<Bitmap> UsedBefore::read(const Pool& pool) const {
    if (TRY(record()) == Record::kNone) return Bitmap(pool.count());
    return file_->read(pool);
}

Status UsedBefore::remove(const BitFile::Lock& used_lock, const Pool& pool, const Bitmap& ranges) {
    if (!file_) return {};
    Bitmap before = TRY(file_->read(pool));
    const uint32_t count = before.count();
    before -= ranges;
    return before.count() == count ? Status() : file_->write(used_lock, pool, before);
}

}  // namespace nsr::ranges
