// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "pool/channel.h"
#include "pool/slot.h"
#include "service/context.h"
#include "varlink/reader.h"
#include "varlink/server.h"

namespace nsr::worker {

/// One connection, from the moment when the manager hands it over until it is given back or ends.
class Session {
public:
    enum class End {
        kIdle,    ///< nothing more to say at present, or enough for now: the manager may have it back
        kParked,  ///< the rest of a message has not come; parcel() has what did
        kClosed,  ///< over
    };

    Session(const varlink::Server& server, pool::Slot& slot, BorrowedFd manager, UniqueFd connection,
            const varlink::Peer& peer, varlink::Reader::Limits::Rest rest);

    /// Begins with what an earlier worker has read. Errors: the connection is to be ended.
    Status resume(UniqueFd parcel);
    /// Answers what the client asks, in plain blocking code. `after_call` runs after each answer.
    End run(const std::function<void()>& after_call);
    UniqueFd parcel() { return std::move(parcel_); }

private:
    enum class Verdict { kGoOn, kOver };
    Verdict answer(varlink::RawMessage raw);
    End park();
    Verdict wait_for_more() const;
    std::optional<End> linger();

    const varlink::Server& server_;
    pool::Slot& slot_;
    BorrowedFd manager_;
    UniqueFd connection_;
    varlink::Peer peer_;
    varlink::Reader reader_;
    UniqueFd parcel_;
    uint64_t turn_end_usec_;
};

}  // namespace nsr::worker
