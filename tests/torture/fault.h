// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nsr::injector {

/// What a process is to the service: the manager, what it has started, and what those have started.
enum class Role : uint8_t { kManager, kWorker, kHelper };

/// kSticky: this one and all later ones of its number fail. kHold: the process stands before the call until it is told
/// to go on.
enum class Action : uint8_t { kNone, kKill, kKillAtReturn, kError, kSticky, kHold };

/// One fault, and what has become of it.
struct Fault {
    Role role = Role::kWorker;
    /// Which system call by number; none: any.
    std::optional<uint64_t> call;
    /// The how manyth of these in all processes of the role, from 1.
    uint64_t nth = 0;
    Action action = Action::kNone;
    int error = 0;
    /// Not 0: whichever worker or helper is at its system call that many later is killed, too.
    uint64_t kill_later = 0;
};

/// ROLE CALL NTH ACTION ERROR LATER, for example "worker 257 3 error 24 0"; "*" is any call.
std::optional<Fault> parse_fault(const std::string& text);

std::optional<Role> parse_role(const std::string& text);
const char* name_of(Role role);

}  // namespace nsr::injector
