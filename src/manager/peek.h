// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

#include "base/result.h"
#include "manager/connection_table.h"

namespace nsr::manager {

/// What a look at the queue of a connection tells. Nothing is taken: the bytes are the worker's to read.
enum class Look {
    kReady,    ///< the end of a message is there
    kLarge,    ///< no end, but the socket's buffer may be full: a worker has to take some of it
    kPartial,  ///< the beginning of a message
    kNothing,
    kOver,  ///< the client is gone, or nothing of it can be used
};

/// Looks only at what is new since the last look (SO_PEEK_OFF, socket(7)), so that a client pays for each byte once.
Look look(Connection& connection, uint64_t now_usec);

/// The next reader begins at the first byte again.
Status stop_looking(Connection& connection);

}  // namespace nsr::manager
