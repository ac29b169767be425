// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::bench {

/// A client that does no more than the system calls: the text of a request goes out as it is, and the text of the reply
/// is handed back as it came. The same for the service and for the echo that it is compared with.
class Connection {
public:
    /// With a patience other than 0 no system call waits for longer (EAGAIN).
    static Result<Connection> open(const std::string& path, uint64_t patience_usec = 0);

    /// Both texts end with their NUL; the reply is valid until the next call. EMSGSIZE for one of more than 4 KiB.
    Result<std::string_view> ask(std::string_view request, BorrowedFd with = {});

private:
    explicit Connection(UniqueFd socket) : socket_(std::move(socket)) {}
    Status send(std::string_view request, BorrowedFd with) const;

    UniqueFd socket_;
    std::array<char, 4096> buffer_{};
};

/// Opens a connection, asks, and closes it, whatever the reply is.
Status ask_any(const std::string& path, std::string_view request, uint64_t patience_usec = 0);
/// The same, but a refusal is an error.
Status ask_once(const std::string& path, std::string_view request, BorrowedFd with = {}, uint64_t patience_usec = 0);

/// EPROTO with the text of it, if the reply is a refusal.
Status require_success(std::string_view reply);

}  // namespace nsr::bench
