// SPDX-License-Identifier: LGPL-2.1-or-later
#include "authority/bus.h"

#include "base/sys.h"

namespace nsr::authority {

namespace {

struct SlotDeleter {
    void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};

int keep_reply(sd_bus_message* reply, void* kept, sd_bus_error*) {
    static_cast<Message*>(kept)->reset(sd_bus_message_ref(reply));
    return 1;
}

}  // namespace

Result<std::optional<Bus>> Bus::open(uint64_t deadline_usec) {
    sd_bus* raw = nullptr;
    int r = sd_bus_open_system(&raw);
    if (r == -ENOENT || r == -ECONNREFUSED) return std::nullopt;
    if (r < 0) return fail_errno(-r, "connecting to the system bus");
    Bus bus(raw);
    // sd_bus_call() would wait 90 seconds for a bus that takes connections and then says nothing.
    while (sd_bus_is_ready(raw) <= 0) {
        if (sd_bus_is_open(raw) <= 0) return fail(ECONNRESET, "the system bus closed the connection");
        TRY_WITHIN("connecting to the system bus", bus.step(deadline_usec));
    }
    return std::optional(std::move(bus));
}

bool Bus::is_usable() {
    // Late replies to questions that were given up, and the end of the connection, are waiting to be read. A bus that
    // always has one more is none to rely on.
    constexpr int kMaxPending = 64;
    for (int i = 0; i < kMaxPending; ++i) {
        int r = sd_bus_process(bus_.get(), nullptr);
        if (r < 0) return false;
        if (r == 0) return sd_bus_is_ready(bus_.get()) > 0;
    }
    return false;
}

Result<Message> Bus::call(sd_bus_message* message, uint64_t deadline_usec) {
    Message reply;
    sd_bus_slot* raw = nullptr;
    // Without a time limit of sd-bus's own, whose error could not be told from one that the bus sent.
    int r = sd_bus_call_async(bus_.get(), &raw, message, keep_reply, &reply, UINT64_MAX);
    if (r < 0) return fail_errno(-r, "sending over the system bus");
    std::unique_ptr<sd_bus_slot, SlotDeleter> slot(raw);
    while (!reply) TRY_WITHIN("waiting for a reply over the system bus", step(deadline_usec));
    return reply;
}

Status Bus::step(uint64_t deadline_usec) {
    uint64_t now = sys::now_usec();
    if (now >= deadline_usec) return fail(ETIMEDOUT, "nothing came in time");
    int r = sd_bus_process(bus_.get(), nullptr);
    if (r == 0) r = sd_bus_wait(bus_.get(), deadline_usec - now);
    if (r < 0 && r != -EINTR) return fail_errno(-r, "system bus");
    return {};
}

}  // namespace nsr::authority
