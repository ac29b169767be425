// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "varlink/message.h"
#include "varlink/reader.h"

namespace nsr::varlink {

/// One connection to a varlink service, which is not trusted: every wait is bounded, and a reply has at most 1 MiB.
/// After an error the connection is of no use any more.
class Client {
public:
    /// `path` of an AF_UNIX stream socket. ETIMEDOUT where the service does not accept in time; with a timeout of 0,
    /// EAGAIN where it does not at once.
    static Result<Client> connect(const std::string& path, uint64_t timeout_usec);

    /// Calls a method ("interface.Method") and waits for its reply, ETIMEDOUT after `timeout_usec` in all. A varlink
    /// error is no Error: look at CallResult::error.
    Result<CallResult> call(std::string_view method, json::object parameters, std::span<const UniqueFd> fds,
                            uint64_t timeout_usec);

    /// The same in two steps, for somebody who waits for several services at once: send, poll fd() for POLLIN, and
    /// try_receive() until there is a reply (nothing: poll again).
    Status send(std::string_view method, json::object parameters, std::span<const UniqueFd> fds, uint64_t timeout_usec);
    BorrowedFd fd() const { return socket_.borrow(); }
    Result<std::optional<CallResult>> try_receive();

private:
    explicit Client(UniqueFd socket);

    UniqueFd socket_;
    Reader reader_;
};

}  // namespace nsr::varlink
