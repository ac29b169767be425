// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/fd.h"

/// Connections to the service without any care for what becomes of them.
namespace nsr::bench {

/// A new connection. Tries again until there is one.
UniqueFd connect_somehow(const std::string& socket);
/// As much of the text as the kernel takes at once.
size_t send_some(BorrowedFd connection, std::string_view text);
/// The text with descriptors, of which there are at most two.
void send_with(BorrowedFd connection, std::string_view text, std::initializer_list<int> fds);

/// What comes next, up to 4 KiB; nothing at the end of the connection.
std::string receive_some(BorrowedFd connection);

}  // namespace nsr::bench
