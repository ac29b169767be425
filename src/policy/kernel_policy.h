// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "policy/entries.h"
#include "policy/kept_pins.h"
#include "policy/level.h"
#include "policy/loader.h"
#include "policy/missed_calls.h"
#include "policy/pin_directory.h"
#include "policy/programs.h"

namespace nsr::policy {

/// The kernel's side of one instance: programs that are attached and pinned, and their maps. Destroying this leaves all
/// of it at work.
class KernelPolicy {
public:
    /// See load_programs().
    static Result<KernelPolicy> load(const std::string& runtime_dir, Scope scope);

    /// Further descriptors of the maps.
    Result<Entries> entries() const;
    BorrowedFd deaths() const { return deaths_.borrow(); }
    BorrowedFd lost() const { return lost_.borrow(); }
    BorrowedFd beats() const { return beats_.borrow(); }
    /// How many namespaces have died, registered or not, since the maps are there.
    Result<uint64_t> count_deaths() const;
    /// Every namespace that has an entry by now was under the policy all the time.
    bool was_enforced() const { return loaded_.was_enforced; }
    Form form() const { return loaded_.policy.find("-hook-") != std::string::npos ? Form::kHook : Form::kFunction; }
    bool is_new() const { return loaded_.policy_is_new; }
    /// Which of the programs at work may be left out by the kernel.
    Result<MissedCalls> missed_calls() const;
    /// Programs that this kernel has no place for.
    std::vector<Program> missing() const;

    /// Everything that was attached or pinned before, and is replaced by now: once the entries are complete, and ranges
    /// of the time before are marked as used; from here on was_enforced() counts, until it is asked to keep an old
    /// policy. Namespaces that were made when that was at work may need it still, when it is not asked for any more.
    enum class OldPolicy { kKeep, kRemove };
    Status remove_others(OldPolicy old_policy);
    /// Takes the policy back that load() has just attached; one that was there before stays.
    Status remove_new_policy();
    /// Pins again what is not pinned any more, and gives how much that was. Nothing was detached meanwhile: the
    /// descriptors that are kept here hold it, but only for as long as this process lives.
    Result<size_t> restore_pins();
    /// Nothing is enforced any more.
    Status remove_all() const { return pins_.remove_all(); }

private:
    KernelPolicy(PinDirectory pins, Loaded loaded) : pins_(std::move(pins)), loaded_(std::move(loaded)) {}

    Result<UniqueFd> open_map(const char* name) const;

    PinDirectory pins_;
    Loaded loaded_;
    KeptPins kept_;
    bool is_marked_ = false;  ///< kEnforcedMark is there
    UniqueFd deaths_, lost_, beats_, lock_;
};

}  // namespace nsr::policy
