// SPDX-License-Identifier: LGPL-2.1-or-later
// Attacks by what is in the messages, or is not, on many connections of many ids.
#include <sys/socket.h>
#include <array>
#include <unordered_map>

#include "raw_client.h"
#include "requests.h"
#include "swarm.h"

namespace nsr::bench {

namespace {

constexpr size_t kMany = 3000;
constexpr size_t kReadSize = 65536;

std::string info_request() { return std::string(R"({"method":"org.varlink.service.GetInfo"})") + '\0'; }

size_t read_some(BorrowedFd connection) {
    static std::array<char, kReadSize> buffer;
    ssize_t n = recv(connection.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return n > 0 ? static_cast<size_t>(n) : 0;
}

}  // namespace

// Longer than what the manager waits for the end of. As soon as the service has had enough of one, there is the next.
void withhold_the_rest_of_long_messages(const Target& target) {
    constexpr uint32_t kIds = 40;
    constexpr size_t kPerId = 32;
    const std::string half = R"({"method":"org.varlink.service.GetInfo","parameters":{"x":")" + std::string(5000, 'a');
    Swarm(target, kIds * kPerId, kIds, {.on_open = [&](BorrowedFd connection) { send_some(connection, half); }}).run();
}

// By three processes. Each uid always has a request that waits for its answer.
void ask_as_many_uids(const Target& target) {
    constexpr size_t kUids = kMany / 3;
    const std::string request = info_request();
    auto ask = [&](BorrowedFd connection) { send_some(connection, request); };
    auto ask_again = [&](BorrowedFd connection) {
        if (read_some(connection) > 0) send_some(connection, request);
    };
    Swarm(target, kUids, kUids, {.on_open = ask, .on_readable = ask_again}).run();
}

void pipeline_lookups(const Target& target) {
    constexpr size_t kConnections = 32, kAtOnce = 500;
    std::string requests;
    for (size_t i = 0; i < kAtOnce; ++i) requests += user_record_request(Uid(600'000));
    // What the kernel did not take comes next, or the requests would be none.
    std::unordered_map<int, size_t> sent;
    auto write = [&](BorrowedFd connection) {
        size_t& at = sent[connection.get()];
        at += send_some(connection, std::string_view(requests).substr(at));
        if (at == requests.size()) at = 0;
    };
    auto begin = [&](BorrowedFd connection) { sent[connection.get()] = 0; };
    auto read = [&](BorrowedFd connection) { read_some(connection); };
    Swarm(target, kConnections, kConnections, {.on_open = begin, .on_readable = read, .on_writable = write}).run();
}

void send_byte_by_byte(const Target& target) {
    target.attacker.join();
    std::vector<UniqueFd> connections(kMany);
    auto open = [&](size_t i) {
        act_as(static_cast<uint32_t>(i));
        connections[i] = connect_somehow(target.socket);
        send_some(connections[i].borrow(), "{");
    };
    for (size_t i = 0; i < kMany; ++i) open(i);
    report_ready(target);
    for (;;)
        for (size_t i = 0; i < kMany; ++i)
            // Closed, or full of bytes that nobody reads: on with a new one.
            if (send_some(connections[i].borrow(), " ") == 0) open(i);
}

void send_big_messages(const Target& target) {
    constexpr size_t kItems = (1 << 20) / 2;
    std::string message = R"({"method":"org.varlink.service.GetInfo","parameters":{"x":[)";
    for (size_t i = 0; i < kItems; ++i) message += "1,";
    message += std::string("1]}}") + '\0';
    target.attacker.join();
    act_as(static_cast<uint32_t>(target.number));
    report_ready(target);
    for (;;) {
        UniqueFd connection = connect_somehow(target.socket);
        size_t sent = 0;
        while (sent < message.size()) {
            ssize_t n = send(connection.get(), message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) break;
            sent += static_cast<size_t>(n);
        }
        receive_some(connection.borrow());
    }
}

void connect_and_hang_up(const Target& target) {
    constexpr uint32_t kIds = 1000, kPerTurn = 20;
    target.attacker.join();
    report_ready(target);
    for (uint32_t i = 0;; ++i) {
        if (i % kPerTurn == 0) act_as(static_cast<uint32_t>(target.number) * kIds + i / kPerTurn % kIds);
        UniqueFd connection = connect_somehow(target.socket);
        send_some(connection.borrow(), "{");
    }
}

// No attack on the service: what the scheduler alone makes of so many busy processes.
void burn_cycles(const Target& target) {
    target.attacker.join();
    report_ready(target);
    for (uint64_t count = 0;; ++count) asm volatile("" : : "r"(count));
}

}  // namespace nsr::bench
