// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "pool/channel.h"
#include "pool/slot.h"
#include "service/context.h"
#include "varlink/server.h"

namespace nsr::worker {

/// Serves one thing after the other that the manager hands over, until the manager closes the channel.
class Worker {
public:
    Worker(service::Context& context, const varlink::Server& server, pool::Channel& channel, pool::Slot& slot)
        : context_(context), server_(server), channel_(channel), slot_(slot) {}

    Status run();

private:
    Status work();
    Status handle(pool::Message message);
    Status serve(pool::Message message);
    Status release(const pool::Message& message);
    void log_failure(const NsIdentity& identity, const Error& error) const;
    pool::Message release_in_turn(const std::vector<NsIdentity>& namespaces);
    Status repair(const pool::Message& message);
    Status refill();
    Status keep_back();
    Status tidy();
    void after_call();
    void look_after_stock();

    service::Context& context_;
    const varlink::Server& server_;
    pool::Channel& channel_;
    pool::Slot& slot_;
};

}  // namespace nsr::worker
