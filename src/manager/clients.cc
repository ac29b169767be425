// SPDX-License-Identifier: LGPL-2.1-or-later
// The manager's side of clients: accepting, watching, closing.
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.h"
#include "base/sys.h"
#include "manager/manager.h"

namespace nsr::manager {

namespace {

/// Of the clients that wait to be accepted, so many at a time before others get their turn.
constexpr int kAcceptBatch = 64;
/// A message that ends within so many bytes is waited for here; a longer one is a worker's business.
constexpr size_t kPeekSize = 4096;
/// For a message to be completed.
constexpr uint64_t kPartialUsec = 10'000'000;

}  // namespace

UniqueFd Manager::accept_one() {
    for (;;) {
        UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd && !table_.full()) return fd;
        if (fd) {
            // There are descriptors in reserve for this one.
            Connection* victim = table_.to_evict();
            if (victim) table_.remove(*victim);
            return fd;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EMFILE && errno != ENFILE) return UniqueFd();
        Connection* victim = table_.to_evict();
        if (!victim) return pause_accepting();
        table_.remove(*victim);
    }
}

// No room, and nobody idle to make some: clients wait in the kernel's queue until the next tick.
UniqueFd Manager::pause_accepting() {
    listening_source_.disable();
    return {};
}

void Manager::accept_clients() {
    for (int i = 0; i < kAcceptBatch; ++i) {
        UniqueFd fd = accept_one();
        if (!fd) break;
        auto peer = sys::peer_credentials(fd.borrow());
        if (!peer) continue;
        // An urgent byte makes the socket readable, but is not read: the connection would go back and forth for ever.
        int yes = 1;
        if (setsockopt(fd.get(), SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes) < 0) continue;
        examine(table_.add(std::move(fd), *peer));
    }
    dispatch();
}

// Looks without taking: what is there is the worker's to read. A client that sends half a message costs a look for each
// piece, and no worker.
Manager::Look Manager::look(const Connection& connection) {
    std::array<char, kPeekSize> buffer;
    ssize_t n = recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? Look::kNothing : Look::kOver;
    if (n == 0) return Look::kOver;
    auto size = static_cast<size_t>(n);
    if (memchr(buffer.data(), 0, size) || size == buffer.size()) return Look::kReady;
    // Peeking ends behind descriptors, though there may be more.
    int queued = 0;
    if (ioctl(connection.fd.get(), SIOCINQ, &queued) < 0 || static_cast<size_t>(queued) > size) return Look::kReady;
    // Nobody is there to send the rest.
    struct pollfd hangup{connection.fd.get(), POLLRDHUP, 0};
    return poll(&hangup, 1, 0) > 0 ? Look::kOver : Look::kPartial;
}

void Manager::examine(Connection& connection) {
    Look seen = look(connection);
    if (seen == Look::kReady) {
        if (connection.source) connection.source.disable();
        connection.partial_since_usec = 0;
        table_.set_waiting(connection);
        return;
    }
    if (seen == Look::kPartial && connection.partial_since_usec == 0) connection.partial_since_usec = sys::now_usec();
    if (seen == Look::kOver || !watch(connection)) table_.remove(connection);
}

// Edge-triggered: a message of which half is there would else keep the loop spinning.
Status Manager::watch(Connection& connection) {
    if (connection.state == Connection::State::kIdle) return {};
    if (!connection.source) {
        connection.source =
            TRY(loop_.watch_fd(connection.fd.borrow(), EPOLLIN | EPOLLRDHUP | EPOLLET, [this, &connection] {
                examine(connection);
                dispatch();
            }));
    } else {
        connection.source.enable();
    }
    table_.set_idle(connection);
    return {};
}

void Manager::close_slow_ones() {
    uint64_t now = sys::now_usec();
    for (Connection* connection : table_.partial())
        if (connection->partial_since_usec + kPartialUsec <= now) table_.remove(*connection);
}

}  // namespace nsr::manager
