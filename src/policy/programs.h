// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nsr::policy {

/// What is known of one kernel program of the policy.
struct Program {
    enum class Need { kAlways, kIfThere };

    std::string_view name;
    std::string_view target;  ///< the kernel function
    Need need = Need::kAlways;
    /// What is not refused on a kernel without that function, for people; empty: nothing.
    std::string_view leaves_open{};
};

/// Every program of bpf/policy.bpf.c.
std::span<const Program> policy_programs();

/// The alternatives of bpf/deaths.bpf.c, the better one first.
inline constexpr std::string_view kDeathPrograms[] = {"on_death", "on_death_kprobe"};
inline constexpr std::string_view kDeathTarget = "retire_userns_sysctls";

}  // namespace nsr::policy
