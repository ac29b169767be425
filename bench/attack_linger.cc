// SPDX-License-Identifier: LGPL-2.1-or-later
// A TCP socket with SO_LINGER and unsent data makes whoever closes it last wait until the data are taken or the time is
// over; so does what has such a socket in its queue.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <deque>

#include "attack.h"
#include "base/sys.h"
#include "raw_client.h"

namespace nsr::bench {

namespace {

constexpr int kLingerSeconds = 3600;
constexpr int kBufferSize = 4096;
/// So many linger at a time, more than wait to be accepted; the peers of older ones are closed, which ends that.
constexpr size_t kHeld = 6000;
constexpr uint32_t kIds = 64;
constexpr useconds_t kRetryUsec = 1'000;

class Lingerer {
public:
    Lingerer() : listening_(open_socket()) {
        struct sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const void* generic = &address;
        setsockopt(listening_.get(), SOL_SOCKET, SO_RCVBUF, &kBufferSize, sizeof kBufferSize);
        if (bind(listening_.get(), static_cast<const struct sockaddr*>(generic), sizeof address) < 0 ||
            listen(listening_.get(), 16) < 0)
            _exit(EXIT_FAILURE);
        socklen_t size = sizeof address_;
        void* filled = &address_;
        getsockname(listening_.get(), static_cast<struct sockaddr*>(filled), &size);
    }

    /// A socket that is slow to close.
    UniqueFd make() {
        UniqueFd slow = connect_slow();
        hold_peer();
        return slow;
    }

    /// The same, of which hold_peer() takes the other end, in this process or another one.
    UniqueFd connect_slow() const {
        UniqueFd fd = open_socket();
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kBufferSize, sizeof kBufferSize);
        const void* generic = &address_;
        while (connect(fd.get(), static_cast<const struct sockaddr*>(generic), sizeof address_) < 0) usleep(kRetryUsec);
        static constexpr std::array<char, 65536> kData{};
        while (send(fd.get(), kData.data(), kData.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        }
        struct linger linger{1, kLingerSeconds};
        setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        return fd;
    }

    void hold_peer() {
        peers_.emplace_back(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (peers_.size() > kHeld) peers_.pop_front();
    }

private:
    static UniqueFd open_socket() {
        UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!fd) _exit(EXIT_FAILURE);
        return fd;
    }

    UniqueFd listening_;
    struct sockaddr_in address_{};
    std::deque<UniqueFd> peers_;
};

// A socket that has the other one in its queue.
UniqueFd wrap(UniqueFd inner) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    if (!pair) return inner;
    send_with(pair->first.borrow(), "x", {inner.get()});
    return std::move(pair->second);
}

}  // namespace

void hang_up_with_lingering_sockets(const Target& target) {
    target.attacker.join();
    Lingerer lingerer;
    for (uint32_t i = 0;; ++i) {
        if (i == 1) report_ready(target);
        act_as(i % kIds);
        UniqueFd slow = lingerer.make();
        if (i % 2 == 1) slow = wrap(std::move(slow));
        UniqueFd connection = connect_somehow(target.socket);
        send_with(connection.borrow(), "{", {slow.get()});
        slow.reset();
    }
}

// Whoever closes such a socket last has to wait, so the attacker must not: a process that exits closes without waiting.
void send_lingering_sockets_in_the_middle(const Target& target) {
    target.attacker.join();
    Lingerer lingerer;
    for (uint32_t i = 0;; ++i) {
        if (i == kIds) report_ready(target);
        act_as(i % kIds);
        auto sender = Child::run([&]() -> int {
            UniqueFd slow = lingerer.connect_slow();
            UniqueFd connection = connect_somehow(target.socket);
            send_some(connection.borrow(), R"({"method":)");
            send_with(connection.borrow(), std::string_view("\"x\"}\0", 5), {slow.get()});
            _exit(EXIT_SUCCESS);  // with all descriptors open
        });
        lingerer.hold_peer();
        if (sender) static_cast<void>(sender->wait());
    }
}

}  // namespace nsr::bench
