// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::policy {

/// What the kernel programs go by (layout.h): which namespaces are registered, whose each range is, and which cgroups
/// were given to whom. Anybody with the descriptors may change it. Where there are no kernel programs, because this
/// host cannot have any, every change is in vain and no error.
class Entries {
public:
    struct Maps {
        UniqueFd namespaces, owners, cgroups, missed, beats;
    };
    enum class Setgroups { kUnchanged, kDenied, kAllowed };
    /// kAbsent: nothing is known of this namespace.
    enum class Mark { kAbsent, kAlive, kDead };

    /// kSome: the maps are new, so that what was entered in others is not there yet.
    enum class Scope { kAll, kSome };

    Entries() = default;
    Entries(Maps maps, Scope scope) : maps_(std::move(maps)), scope_(scope) {}

    bool exist() const { return maps_.has_value(); }
    /// Whether a namespace without an entry has never been entered.
    bool are_complete() const { return exist() && scope_ == Scope::kAll; }
    const std::optional<Maps>& maps() const { return maps_; }

    /// From now on the namespace counts as registered. ENOSPC: there are too many.
    Status add(const NsIdentity& identity, Setgroups setgroups);
    /// Another namespace under the same inode number is left alone.
    Status remove(const NsIdentity& identity);
    /// Whoever is known under this inode number is gone: the kernel has given the number to somebody else.
    Status mark_dead(NsInode inode);
    /// Whether the kernel has said that this namespace is gone.
    Result<Mark> mark(const NsIdentity& identity) const;

    /// Whether files of cgroups that the namespace was not given may have ids of its ranges (layout.h).
    enum class CgroupFiles { kNone, kSome };
    Result<CgroupFiles> cgroup_files(const NsIdentity& identity) const;

    /// What MissedCalls has counted.
    Status note_missed(uint64_t count);
    /// A time in which the kernel runs no program, or not all: from the first of these calls to the second. Nothing
    /// happens where it has begun, or ended, already.
    Status begin_gap();
    Status end_gap();
    Result<bool> is_in_gap() const;
    /// Whether note_missed() has said the same ever since this namespace was added, and there was no gap. No for one
    /// that is not known.
    Result<bool> was_watched(const NsIdentity& identity) const;
    /// Makes a call that the policy is asked about, and gives whether it was. Five system calls.
    Result<bool> is_asked() const;

    /// The innermost namespace that the range was given to.
    Status set_owner(Uid start, NsInode owner);
    Status clear_owner(Uid start);
    Result<std::optional<NsInode>> owner(Uid start) const;

    Status add_cgroup(CgroupId cgroup, NsInode userns);
    Status remove_cgroup(CgroupId cgroup, NsInode userns);

    /// Removes everything that `keep_…` says no to. Nobody else may make changes meanwhile.
    struct Keepers {
        std::function<bool(NsInode)> keep_namespace;
        std::function<bool(Uid start)> keep_owner;
        std::function<bool(CgroupId, NsInode)> keep_cgroup;
    };
    Status prune(const Keepers& keepers);
    /// No namespace is registered.
    Result<bool> are_empty() const;

private:
    Result<uint64_t> missed(uint32_t what) const;
    Result<uint64_t> unwatched() const;
    Result<uint64_t> beats() const;

    std::optional<Maps> maps_;
    Scope scope_ = Scope::kAll;
};

}  // namespace nsr::policy
