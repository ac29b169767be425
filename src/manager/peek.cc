// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/peek.h"

#include <sys/socket.h>
#include <array>
#include <cstring>
#include <optional>

#include "base/shortage.h"

namespace nsr::manager {

namespace {

constexpr size_t kPeekSize = 16384;
/// The smallest buffer that a client's socket has by default holds more than that (net.core.wmem_default), so that what
/// is less will come to its end, if it does, without anyone reading.
constexpr size_t kLargeSize = 65536;
/// But a client may have made its buffer smaller, or send byte by byte, where each piece takes up some hundred bytes of
/// it. If no more came for so long, the buffer may be full.
constexpr uint64_t kStalledUsec = 50'000;

Status set_peek_offset(BorrowedFd socket, int offset) {
    if (setsockopt(socket.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) < 0)
        return fail_errno(errno, "SO_PEEK_OFF");
    return {};
}

// One call sees no further than to the end of what came with the first descriptors. Nothing: the kernel was short of
// something, which says nothing about what is there.
std::optional<Look> look_once(Connection& connection) {
    std::array<char, kPeekSize> buffer;
    ssize_t n = 0;
    do n = recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return Look::kNothing;
    if (n < 0 && is_shortage(errno)) return std::nullopt;
    if (n < 0) return Look::kOver;
    // The client will not send the rest.
    if (n == 0) return Look::kOver;
    auto size = static_cast<size_t>(n);
    if (memchr(buffer.data(), 0, size)) return Look::kReady;
    // Where it is set, the kernel moves it on by itself.
    if (connection.seen == 0 && !set_peek_offset(connection.fd.borrow(), static_cast<int>(size))) return Look::kOver;
    connection.seen += size;
    return Look::kPartial;
}

}  // namespace

Look look(Connection& connection, uint64_t now_usec) {
    size_t before = connection.seen;
    Look found = Look::kPartial;
    // What is beyond is seen at the next look.
    for (size_t calls = 0; found == Look::kPartial && calls < kLargeSize / kPeekSize; ++calls) {
        auto seen = look_once(connection);
        // Watched edge-triggered, it would not be looked at again by itself; with half a message it is, by the clock.
        if (!seen) return Look::kPartial;
        found = *seen;
        if (connection.seen >= kLargeSize) return Look::kLarge;
    }
    if (found == Look::kReady || found == Look::kOver) return found;
    if (connection.seen == 0) return Look::kNothing;
    if (connection.seen > before) connection.grown_usec = now_usec;
    return connection.grown_usec + kStalledUsec <= now_usec ? Look::kLarge : Look::kPartial;
}

Status stop_looking(Connection& connection) {
    if (connection.seen == 0) return {};
    connection.seen = 0;
    return set_peek_offset(connection.fd.borrow(), -1);
}

}  // namespace nsr::manager
