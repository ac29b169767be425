// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"

/// What the kernel policy is told of registrations. The order is: record, entry, maps; and back.
namespace nsr::lifecycle {

/// Whether a namespace lives: by the kernel policy's word, which is certain, or else by its file handle. Of one that is
/// set aside the policy knows nothing (registry::is_set_aside()): under its inode number is another by now.
namespaces::Life life_of(const Instance& instance, const NsIdentity& identity);

/// A recorded registration comes into force. Nothing remains of a failed call. ENOSPC: the policy has no more room.
Status enter_policy(Instance& instance, const registry::Registration& registration);
/// The namespace is dead, or never got its maps: before the record is removed.
Status withdraw_claims(Instance& instance, const registry::Registration& registration);
/// And after: until then the entry is what tells that it is dead.
Status leave_policy(Instance& instance, const registry::Registration& registration);
/// After the record was removed, with the lock still held: ranges that were delegated to it are their holder's again.
Status settle_owners(Instance& instance, const registry::Registration& registration);

/// Of a dead namespace whose entry is still there: whether something may have got past the policy in its time. Its
/// ranges are not to be handed out again at once, then.
enum class Watch { kComplete, kGaps };
Watch watch_over(Instance& instance, const NsIdentity& identity);

/// The same: whether files of cgroups that the namespace was not given may have ids of its ranges. They have to be
/// taken back before those are handed out again.
enum class CgroupFiles { kOfItsOwn, kOfAny };
CgroupFiles cgroup_files(const Instance& instance, const NsIdentity& identity);

/// Who was given a range last, of all that live, or also of those that are dead and set aside.
enum class Aside { kNot, kToo };
Result<std::optional<NsInode>> innermost_holder(const Instance& instance, Uid start, Aside aside = Aside::kNot);

}  // namespace nsr::lifecycle
