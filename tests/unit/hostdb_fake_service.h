// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/sys.h"
#include "varlink/message.h"

namespace nsr::hostdb {

/// A userdb service on a real socket: what it sends back for each call is up to the test, byte by byte.
class FakeService {
public:
    static constexpr const char* kNoRecord = R"({"error":"io.systemd.UserDatabase.NoRecordFound"})";
    static constexpr const char* kRecord = R"({"parameters":{"record":{"userName":"x"}}})";

    /// An empty answer says nothing; otherwise a NUL is added.
    using Answer = std::function<std::string(const varlink::Request&)>;

    FakeService(const std::string& path, Answer answer) : answer_(std::move(answer)) {
        socket_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path.c_str(), path.size() + 1);
        if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
            listen(socket_.get(), 16) < 0)
            abort();
        thread_ = std::thread([this] { run(); });
    }
    ~FakeService() {
        shutdown(socket_.get(), SHUT_RDWR);
        thread_.join();
    }
    FakeService(const FakeService&) = delete;
    FakeService& operator=(const FakeService&) = delete;

    /// The calls so far; to be looked at when nobody asks any more.
    const std::vector<varlink::Request>& calls() const { return calls_; }

private:
    void run() {
        for (;;) {
            UniqueFd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!connection) return;
            serve(connection.borrow());
        }
    }
    void serve(BorrowedFd connection) {
        std::string buffer;
        char piece[4096];
        for (ssize_t n; (n = recv(connection.get(), piece, sizeof piece, 0)) > 0;) {
            buffer.append(piece, static_cast<size_t>(n));
            for (size_t end; (end = buffer.find('\0')) != std::string::npos; buffer.erase(0, end + 1)) {
                calls_.push_back(varlink::parse_request(buffer.substr(0, end)).value());
                std::string reply = answer_(calls_.back());
                if (reply == "close") return;
                if (!reply.empty()) send(connection.get(), reply.c_str(), reply.size() + 1, MSG_NOSIGNAL);
            }
        }
    }

    Answer answer_;
    UniqueFd socket_;
    std::vector<varlink::Request> calls_;
    std::thread thread_;
};

}  // namespace nsr::hostdb
