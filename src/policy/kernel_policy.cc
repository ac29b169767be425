// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/kernel_policy.h"

#include "base/sys.h"
#include "policy/bpf_call.h"
#include "policy/layout.h"

namespace nsr::policy {

Result<KernelPolicy> KernelPolicy::load(const std::string& runtime_dir, Scope scope) {
    PinDirectory::remove_abandoned();
    KernelPolicy policy(PinDirectory(runtime_dir), TRY(load_programs(runtime_dir, scope)));
    policy.lock_ = TRY(policy.pins_.lock());
    policy.deaths_ = TRY(policy.open_map("deaths"));
    policy.lost_ = TRY(policy.open_map("lost"));
    policy.beats_ = TRY(policy.open_map("beats"));
    for (const auto& name : {policy.loaded_.maps, policy.loaded_.deaths, policy.loaded_.policy})
        if (!name.empty()) TRY(policy.kept_.keep(policy.pins_, name));
    return policy;
}

Result<UniqueFd> KernelPolicy::open_map(const char* name) const {
    return open_pin(fmt::format("{}/{}", pins_.path_of(loaded_.maps), name));
}

Result<Entries> KernelPolicy::entries() const {
    Entries::Maps maps;
    maps.namespaces = TRY(open_map("namespaces"));
    maps.owners = TRY(open_map("owners"));
    maps.cgroups = TRY(open_map("cgroups"));
    maps.missed = TRY(open_map("missed"));
    maps.beats = TRY(open_map("beats"));
    return Entries(std::move(maps), loaded_.maps_are_new ? Entries::Scope::kSome : Entries::Scope::kAll);
}

Result<uint64_t> KernelPolicy::count_deaths() const {
    uint64_t count = 0;
    uint32_t deaths = NSR_BEATS_OF_DEATHS;
    TRY(map_lookup(beats_.borrow(), &deaths, &count));
    return count;
}

// Judges only: without a note they are stricter.
Result<MissedCalls> KernelPolicy::missed_calls() const {
    std::vector<uint32_t> programs;
    if (loaded_.policy.empty()) return MissedCalls();
    for (const auto& known : policy_programs()) {
        auto link = open_pin(fmt::format("{}/{}", pins_.path_of(loaded_.policy), known.name));
        if (!link && link.error().code() == ENOENT) continue;  // the kernel has no place for it
        if (!link) return Failure(std::move(link).error());
        auto info = TRY(object_info<bpf_link_info>(link->borrow()));
        if (info.tracing.attach_type == BPF_MODIFY_RETURN) programs.push_back(info.prog_id);
    }
    return MissedCalls(std::move(programs));
}

std::vector<Program> KernelPolicy::missing() const {
    std::vector<Program> missing;
    if (loaded_.policy.empty()) return missing;
    for (const auto& program : policy_programs()) {
        auto pin = sys::stat_at(sys::kCwd, fmt::format("{}/{}", pins_.path_of(loaded_.policy), program.name));
        if (!pin) missing.push_back(program);
    }
    return missing;
}

// The directory may be another one by now: its lock is that of the earlier one.
Result<size_t> KernelPolicy::restore_pins() {
    size_t missing = kept_.count_missing(pins_);
    if (missing == 0) return missing;
    TRY(pins_.make());
    auto st = TRY(sys::stat_fd(lock_.borrow()));
    if (st.st_nlink == 0) lock_ = TRY(pins_.lock());
    if (is_marked_) TRY(pins_.ensure(kEnforcedMark));
    TRY(kept_.restore(pins_));
    return missing;
}

Status KernelPolicy::remove_others(OldPolicy old_policy) {
    is_marked_ = old_policy == OldPolicy::kRemove;
    std::vector<std::string> keep{loaded_.maps, loaded_.deaths, loaded_.policy};
    if (old_policy == OldPolicy::kRemove) {
        TRY(pins_.ensure(kEnforcedMark));
        keep.emplace_back(kEnforcedMark);
    } else {
        for (auto& name : pins_.list("policy-")) keep.push_back(std::move(name));
    }
    return pins_.remove_others(keep);
}

Status KernelPolicy::remove_new_policy() {
    if (!loaded_.policy_is_new) return {};
    kept_.let_go(loaded_.policy);
    return pins_.remove(std::exchange(loaded_.policy, {}));
}

}  // namespace nsr::policy
