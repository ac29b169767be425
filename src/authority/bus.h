// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <systemd/sd-bus.h>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"

namespace nsr::authority {

struct MessageDeleter {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageDeleter>;

/// A connection to the system bus, sd-bus(3), of which nothing is waited for longer than a deadline (sys::now_usec).
class Bus {
public:
    /// Ready for calls; nothing, at the price of a connect(2), where nobody listens at the address. ETIMEDOUT, or what
    /// connect(2) and the bus say.
    static Result<std::optional<Bus>> open(uint64_t deadline_usec);

    /// Whether it can still be used: false once the bus has closed it.
    bool is_usable();
    sd_bus* get() const { return bus_.get(); }

    /// Sends a method call, and gives its reply, which may be an error message. ETIMEDOUT, or why it cannot be sent.
    Result<Message> call(sd_bus_message* message, uint64_t deadline_usec);

private:
    struct Closer {
        // Does not flush: that could block.
        void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
    };
    explicit Bus(sd_bus* bus) : bus_(bus) {}

    Status step(uint64_t deadline_usec);

    std::unique_ptr<sd_bus, Closer> bus_;
};

}  // namespace nsr::authority
