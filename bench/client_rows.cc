// SPDX-License-Identifier: LGPL-2.1-or-later
// As many allocations by one client, and by four at once, in turn.
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <memory>

#include "base/sys.h"
#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kTotal = 240;  // a uid may have 256 registrations
constexpr size_t kClients = 4;
constexpr char kGo = 'g';

/// One process with its own connection, uid and namespaces.
class Client {
public:
    static Result<Client> start(const std::string& socket, size_t count);

    BorrowedFd ready() const { return control_.borrow(); }
    Uid user() const { return user_; }
    Status wait() { return child_.wait(); }

private:
    Client(Uid user, UniqueFd control, Child child)
        : user_(user), control_(std::move(control)), child_(std::move(child)) {}

    Uid user_;
    UniqueFd control_;
    Child child_;
};

Status allocate_all(const std::string& socket, Uid user, size_t count, BorrowedFd control) {
    auto namespaces = TRY(make_user_namespaces(user, count));
    std::vector<std::string> requests(count);
    std::ranges::generate(requests, allocate_request);
    ActAs as(user);
    auto connection = TRY(Connection::open(socket));
    TRY(connection.ask(memberships_request()));
    TRY(sys::write_all(control, "r"));
    char byte = 0;
    if (read(control.get(), &byte, 1) != 1 || byte != kGo) return fail(EIO, "no signal to start");
    for (size_t i = 0; i < count; ++i) {
        std::string_view reply = TRY(connection.ask(requests[i], namespaces[i].borrow()));
        TRY(require_success(reply));
    }
    TRY(sys::write_all(control, "d"));
    // The namespaces stay until all clients are done: none of them is to wait for a release.
    if (read(control.get(), &byte, 1) != 0) return fail(EIO, "no signal to end");
    return {};
}

Result<Client> Client::start(const std::string& socket, size_t count) {
    Uid user = next_user();
    auto pair = TRY(sys::socket_pair(SOCK_STREAM));
    Child child = TRY(Child::run([&] {
        pair.first.reset();
        auto done = allocate_all(socket, user, count, pair.second.borrow());
        if (!done) fmt::print(stderr, "client: {}\n", done.error().what());
        return done ? EXIT_SUCCESS : EXIT_FAILURE;
    }));
    return Client(user, std::move(pair.first), std::move(child));
}

Status expect_byte(const Client& client) {
    char byte = 0;
    if (read(client.ready().get(), &byte, 1) != 1) return fail(EIO, "a client failed");
    return {};
}

// Microseconds for each allocation, all clients together.
Status measure_round(const Instance& instance, size_t clients, Samples& samples) {
    std::vector<std::unique_ptr<Client>> all;
    for (size_t i = 0; i < clients; ++i)
        all.push_back(std::make_unique<Client>(TRY(Client::start(instance.socket(), kTotal / clients))));
    for (const auto& client : all) TRY(expect_byte(*client));
    Status measured = samples.time([&]() -> Status {
        for (const auto& client : all) TRY(sys::write_all(client->ready(), std::string_view(&kGo, 1)));
        for (const auto& client : all) TRY(expect_byte(*client));
        return {};
    });
    TRY(measured);
    std::vector<Uid> users;
    for (const auto& client : all) users.push_back(client->user());
    // The ends of the channels were inherited by clients that came later.
    for (const auto& client : all) shutdown(client->ready().get(), SHUT_RDWR);
    for (const auto& client : all) TRY(client->wait());
    for (Uid user : users) TRY(instance.wait_until_released(user));
    return {};
}

}  // namespace

Status measure_parallel_clients(Setting& setting) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    Samples one, four;
    for (size_t i = 0; i < setting.times(5, 30); ++i) {
        TRY(measure_round(instance, 1, one));
        TRY(measure_round(instance, kClients, four));
    }
    setting.table.print_section(fmt::format("{} allocations by 1 client and by {}", kTotal, kClients));
    constexpr double kMicrosecondsPerSecond = 1e6;
    setting.table.figure("1 client, allocations per second", kTotal * kMicrosecondsPerSecond / one.p50(), "/s", {});
    setting.table.figure("4 clients, allocations per second", kTotal * kMicrosecondsPerSecond / four.p50(), "/s", {});
    setting.table.figure("throughput, 4 clients against 1", one.p50() / four.p50(), "x",
                         Budget{Budget::Kind::kAtLeast, 1});
    return instance.stop();
}

}  // namespace nsr::bench
