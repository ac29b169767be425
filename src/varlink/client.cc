// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/sys.h"
#include "varlink/writer.h"

namespace nsr::varlink {

namespace {

constexpr Reader::Limits kReplyLimits{.max_message = size_t{1} << 20};

/// connect(2) of an AF_UNIX socket waits while the service's queue is full, for no longer than SO_SNDTIMEO; there
/// is nothing to poll for.
Status limit_connect(BorrowedFd socket, uint64_t timeout_usec) {
    timeval limit{static_cast<time_t>(timeout_usec / 1'000'000), static_cast<suseconds_t>(timeout_usec % 1'000'000)};
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0) return {};
    int code = errno;
    return fail_errno(code, "set a time limit");
}

}  // namespace

Client::Client(UniqueFd socket) : socket_(std::move(socket)), reader_(socket_.borrow(), kReplyLimits) {}

Result<Client> Client::connect(const std::string& path, uint64_t timeout_usec) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path || path.contains('\0'))
        return fail(EINVAL, "{}: not the path of a socket", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (timeout_usec == 0 ? SOCK_NONBLOCK : 0), 0));
    int code = errno;
    if (!socket) return fail_errno(code, "make a socket");
    TRY(limit_connect(socket.borrow(), timeout_usec));
    uint64_t deadline = sys::now_usec() + timeout_usec;
    int result;
    do {
        result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        code = errno;
    } while (result < 0 && code == EINTR && sys::now_usec() < deadline);
    if (result == 0) return Client(std::move(socket));
    if (timeout_usec > 0 && code == EAGAIN) code = ETIMEDOUT;
    return fail_errno(code, fmt::format("connect to {}", path));
}

Status Client::send(std::string_view method, json::object parameters, std::span<const UniqueFd> fds,
                    uint64_t timeout_usec) {
    Request request;
    request.method = method;
    request.parameters = std::move(parameters);
    return send_message(socket_.borrow(), serialize_request(request), fds, timeout_usec);
}

Result<std::optional<CallResult>> Client::try_receive() {
    for (;;) {
        if (std::optional<RawMessage> message = reader_.pop()) {
            CallResult result = TRY(parse_reply(message->text));
            result.fds = std::move(message->fds);
            return std::optional(std::move(result));
        }
        Reader::Input input = TRY(reader_.receive());
        if (input == Reader::Input::kNothing) return std::optional<CallResult>();
        if (input == Reader::Input::kEnd) return fail(ECONNRESET, "the service ended the connection");
    }
}

Result<CallResult> Client::call(std::string_view method, json::object parameters, std::span<const UniqueFd> fds,
                                uint64_t timeout_usec) {
    uint64_t deadline = sys::now_usec() + timeout_usec;
    TRY(send(method, std::move(parameters), fds, timeout_usec));
    for (;;) {
        std::optional<CallResult> result = TRY(try_receive());
        if (result) return *std::move(result);
        uint64_t now = sys::now_usec();
        struct pollfd readable{socket_.get(), POLLIN, 0};
        size_t ready = now > deadline ? 0 : TRY(sys::poll({&readable, 1}, deadline - now));
        if (ready == 0) return fail(ETIMEDOUT, "no reply to {} in time", method);
    }
}

}  // namespace nsr::varlink
