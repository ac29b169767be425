// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "child.h"
#include "range_holder.h"

namespace nsr::bench {

/// What a process of an attacker knows.
struct Target {
    const std::string& socket;
    const RangeHolder& attacker;
    size_t number;     ///< of this process, from 0 on
    BorrowedFd ready;  ///< where it writes a byte once it is under way
};

/// One way for a user who holds a range to cost others time. `act` runs in processes of its own, as fast as it can,
/// until it is killed.
struct Attack {
    std::string_view what;
    size_t processes;
    void (*act)(const Target&);
};

// Each in a file of its own.
void burn_cycles(const Target& target);
void hang_up_with_lingering_sockets(const Target& target);
void send_lingering_sockets_in_the_middle(const Target& target);
void withhold_the_rest_of_long_messages(const Target& target);
void ask_as_many_uids(const Target& target);
void send_byte_by_byte(const Target& target);
void allocate_with_delegates(const Target& target);
void pipeline_lookups(const Target& target);
void connect_and_hang_up(const Target& target);
void send_big_messages(const Target& target);
void make_calls_fail(const Target& target);

/// The processes of an attack, which end with this.
class Attackers {
public:
    /// Returns when all of them are under way, or have had their time for that.
    static Result<Attackers> start(const Attack& attack, const std::string& socket, const RangeHolder& attacker);

private:
    std::vector<Child> processes_;
};

/// Tells the bench that this process is under way.
void report_ready(const Target& target);

}  // namespace nsr::bench
