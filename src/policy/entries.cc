// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/entries.h"

#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <vector>

#include "policy/bpf_call.h"
#include "policy/layout.h"

namespace nsr::policy {

namespace {

uint32_t key_of(NsInode inode) { return static_cast<uint32_t>(inode.value); }

uint32_t flags_of(Entries::Setgroups setgroups) {
    switch (setgroups) {
        case Entries::Setgroups::kDenied:
            return NSR_SETGROUPS_DENIED;
        case Entries::Setgroups::kAllowed:
            return NSR_SETGROUPS_ALLOWED;
        case Entries::Setgroups::kUnchanged:
            break;
    }
    return 0;
}

Status insert(BorrowedFd map, const void* key, const void* value) {
    Status updated = map_update(map, key, value);
    if (!updated && updated.error().code() == E2BIG) return fail(ENOSPC, "the kernel policy has no room for more");
    return updated;
}

// The kernel's ids are compared where both sides have one, as the programs do.
Result<std::optional<nsr_namespace>> find(BorrowedFd map, const NsIdentity& identity) {
    uint32_t key = key_of(identity.inode);
    nsr_namespace value{};
    if (TRY(map_lookup(map, &key, &value)) == Lookup::kAbsent) return std::optional<nsr_namespace>();
    bool other = value.id != 0 && identity.id.value != 0 && value.id != identity.id.value;
    return other ? std::optional<nsr_namespace>() : std::optional(value);
}

// Deleting while walking would start the walk anew.
template <class Key, class Keep>
Status prune_map(BorrowedFd map, const Keep& keep) {
    std::vector<Key> stale;
    Key key{};
    for (const Key* last = nullptr;; last = &key) {
        Key next{};
        if (TRY(map_next_key(map, last, &next)) == Lookup::kAbsent) break;
        key = next;
        if (!keep(key)) stale.push_back(key);
    }
    for (const Key& each : stale) TRY(map_delete(map, &each));
    return {};
}

}  // namespace

Status Entries::add(const NsIdentity& identity, Setgroups setgroups) {
    if (!maps_) return {};
    uint32_t key = key_of(identity.inode);
    nsr_namespace value{.id = identity.id.value, .flags = flags_of(setgroups), .dead = 0, .missed = TRY(unwatched())};
    return insert(maps_->namespaces.borrow(), &key, &value);
}

Status Entries::remove(const NsIdentity& identity) {
    if (!maps_ || !TRY(find(maps_->namespaces.borrow(), identity))) return {};
    uint32_t key = key_of(identity.inode);
    return map_delete(maps_->namespaces.borrow(), &key);
}

Status Entries::mark_dead(NsInode inode) {
    if (!maps_) return {};
    uint32_t key = key_of(inode);
    nsr_namespace value{};
    if (TRY(map_lookup(maps_->namespaces.borrow(), &key, &value)) == Lookup::kFound && value.dead != 0) return {};
    // The kernel did not note this death, so that nothing tells what else it did not see.
    value = {.id = 0, .flags = NSR_OWNS_CGROUP_FILES, .dead = 1, .missed = UINT64_MAX};
    return insert(maps_->namespaces.borrow(), &key, &value);
}

Result<Entries::Mark> Entries::mark(const NsIdentity& identity) const {
    if (!maps_) return Mark::kAbsent;
    auto found = TRY(find(maps_->namespaces.borrow(), identity));
    if (!found) return Mark::kAbsent;
    return found->dead != 0 ? Mark::kDead : Mark::kAlive;
}

Result<Entries::CgroupFiles> Entries::cgroup_files(const NsIdentity& identity) const {
    if (!maps_) return CgroupFiles::kNone;
    auto found = TRY(find(maps_->namespaces.borrow(), identity));
    return found && (found->flags & NSR_OWNS_CGROUP_FILES) == 0 ? CgroupFiles::kNone : CgroupFiles::kSome;
}

Result<uint64_t> Entries::missed(uint32_t what) const {
    uint64_t count = 0;
    TRY(map_lookup(maps_->missed.borrow(), &what, &count));
    return count;
}

Result<uint64_t> Entries::unwatched() const {
    uint64_t calls = TRY(missed(NSR_MISSED_CALLS));
    return (TRY(missed(NSR_MISSED_GAPS)) << NSR_GAPS_SHIFT) + calls;
}

Status Entries::note_missed(uint64_t count) {
    if (!maps_) return {};
    uint32_t calls = NSR_MISSED_CALLS;
    return map_update(maps_->missed.borrow(), &calls, &count);
}

Result<bool> Entries::is_in_gap() const { return maps_ && TRY(missed(NSR_MISSED_GAPS)) % 2 != 0; }

Status Entries::begin_gap() {
    if (!maps_ || TRY(is_in_gap())) return {};
    uint32_t gaps = NSR_MISSED_GAPS;
    uint64_t next = TRY(missed(gaps)) + 1;
    return map_update(maps_->missed.borrow(), &gaps, &next);
}

Status Entries::end_gap() {
    if (!maps_ || !TRY(is_in_gap())) return {};
    uint32_t gaps = NSR_MISSED_GAPS;
    uint64_t next = TRY(missed(gaps)) + 1;
    return map_update(maps_->missed.borrow(), &gaps, &next);
}

Result<bool> Entries::was_watched(const NsIdentity& identity) const {
    if (!maps_ || TRY(is_in_gap())) return false;
    auto found = TRY(find(maps_->namespaces.borrow(), identity));
    return found && found->missed == TRY(unwatched());
}

Result<uint64_t> Entries::beats() const {
    uint64_t sum = 0;
    for (uint32_t of : {NSR_BEATS_OF_MANAGER, NSR_BEATS_OF_WORKERS}) {
        uint64_t count = 0;
        TRY(map_lookup(maps_->beats.borrow(), &of, &count));
        sum += count;
    }
    return sum;
}

// A map's descriptor knows no ioctl(2), least of all this one; but the policy is asked first.
Result<bool> Entries::is_asked() const {
    if (!maps_) return false;
    uint64_t before = TRY(beats());
    ioctl(maps_->beats.get(), BTRFS_IOC_SUBVOL_CREATE, nullptr);
    return TRY(beats()) != before;
}

Status Entries::set_owner(Uid start, NsInode owner) {
    if (!maps_) return {};
    uint32_t value = key_of(owner);
    return insert(maps_->owners.borrow(), &start.value, &value);
}

Status Entries::clear_owner(Uid start) {
    if (!maps_) return {};
    return map_delete(maps_->owners.borrow(), &start.value);
}

Result<std::optional<NsInode>> Entries::owner(Uid start) const {
    uint32_t value = 0;
    if (!maps_ || TRY(map_lookup(maps_->owners.borrow(), &start.value, &value)) == Lookup::kAbsent)
        return std::optional<NsInode>();
    return std::optional(NsInode(value));
}

Status Entries::add_cgroup(CgroupId cgroup, NsInode userns) {
    if (!maps_) return {};
    nsr_cgroup key{.cgroup = cgroup.value, .userns = key_of(userns), .zero = 0};
    uint32_t value = 1;
    return insert(maps_->cgroups.borrow(), &key, &value);
}

Status Entries::remove_cgroup(CgroupId cgroup, NsInode userns) {
    if (!maps_) return {};
    nsr_cgroup key{.cgroup = cgroup.value, .userns = key_of(userns), .zero = 0};
    return map_delete(maps_->cgroups.borrow(), &key);
}

Status Entries::prune(const Keepers& keepers) {
    if (!maps_) return {};
    TRY(prune_map<uint32_t>(maps_->namespaces.borrow(),
                            [&](uint32_t inode) { return keepers.keep_namespace(NsInode(inode)); }));
    TRY(prune_map<uint32_t>(maps_->owners.borrow(), [&](uint32_t start) { return keepers.keep_owner(Uid(start)); }));
    return prune_map<nsr_cgroup>(maps_->cgroups.borrow(), [&](const nsr_cgroup& key) {
        return keepers.keep_cgroup(CgroupId(key.cgroup), NsInode(key.userns));
    });
}

Result<bool> Entries::are_empty() const {
    uint32_t first = 0;
    return !maps_ || TRY(map_next_key(maps_->namespaces.borrow(), nullptr, &first)) == Lookup::kAbsent;
}

}  // namespace nsr::policy
