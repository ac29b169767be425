// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/log.h"
#include "pool/channel.h"
#include "pool/slot.h"
#include "service/context.h"

namespace nsr::worker {

/// The manager's words to a worker, as its arguments.
struct Arguments {
    std::string runtime_dir, state_dir;
    policy::Level level = policy::Level::kRefuse;
    log::Level log_level = log::Level::kInfo;
    bool has_entries = false;
    policy::MissedCalls missed_calls;
};
Result<Arguments> parse_arguments(int argc, char** argv);

/// Ties the life of the process to the manager's, and closes it to everybody else.
Status confine();

/// `channel` and `slot` must outlive the context.
Result<service::Context> open_context(const Arguments& arguments, const pool::Channel& channel, const pool::Slot& slot);

}  // namespace nsr::worker
