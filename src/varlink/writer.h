// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "varlink/message.h"

namespace nsr::varlink {

/// Sends one message, which ends with its NUL, and with its first byte at most 253 descriptors. In one piece where the
/// peer's buffer takes it: some clients read a reply with one recvmsg(2). Waits no longer than `timeout_usec` in all
/// for a peer that does not read (ETIMEDOUT), whether the socket is blocking or not. After an error part of the message
/// may have been sent: the connection is to be ended.
Status send_message(BorrowedFd socket, std::string_view message, std::span<const UniqueFd> fds, uint64_t timeout_usec);

/// The same for the answer to a call.
Status send_outcome(BorrowedFd socket, const Outcome& outcome, uint64_t timeout_usec);

}  // namespace nsr::varlink
