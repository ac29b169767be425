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
    std::string_view hook;    ///< the same as a hook of the BPF security module; empty: there is none
    Need need = Need::kAlways;
    /// What is not refused on a kernel without that function, for people; empty: nothing.
    std::string_view leaves_open{};
};

/// How the programs are attached. Both have the same text and see the same arguments.
enum class Form {
    /// To the functions themselves, which works whatever `lsm=` says. But of a program that was preempted the kernel
    /// leaves out what other tasks would call on the same processor meanwhile: see missed_calls.h.
    kFunction,
    /// As hooks of the BPF security module, where that is active: nothing is left out.
    kHook,
};

/// Every program of bpf/policy.bpf.c.
std::span<const Program> policy_programs();

/// The alternatives of bpf/deaths.bpf.c, the better one first.
inline constexpr std::string_view kDeathPrograms[] = {"on_death", "on_death_kprobe"};
inline constexpr std::string_view kDeathTarget = "retire_userns_sysctls";

}  // namespace nsr::policy
