// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/result.h"

namespace nsr::policy {

enum class Scope {
    kDeaths,  ///< only hear of dead namespaces
    kAll,     ///< and enforce the policy
};

/// An empty directory among the pins, from the moment on when everything that is registered is under the policy.
inline constexpr char kEnforcedMark[] = "enforced";

/// The names of what is attached, below the PinDirectory.
struct Loaded {
    std::string maps, deaths;
    std::string policy;  ///< empty: it was not asked for
    /// Not there before, so that it can be taken back.
    bool policy_is_new = false;
    bool maps_are_new = false;
    /// The policy, of this version or another one, has been at work on these maps all the time.
    bool was_enforced = false;
};

/// Makes sure that maps and programs of this version are attached and pinned. What is there and good is kept; what is
/// changed or broken is attached beside the old one, which goes on until PinDirectory::remove_others(). ENOTSUP: this
/// kernel cannot do it.
///
/// In a process of its own: reading the kernel's type information takes more memory than the service ever needs again.
Result<Loaded> load_programs(const std::string& runtime_dir, Scope scope);

}  // namespace nsr::policy
