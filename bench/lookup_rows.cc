// SPDX-License-Identifier: LGPL-2.1-or-later
// Look-ups in the user database against an echo of messages of the same size, one of each in turn.
#include <charconv>

#include "connection.h"
#include "echo_server.h"
#include "kernel_work.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr double kKeptBudget = 1.7, kFreshBudget = 3;
constexpr size_t kRegistrations = 100;
constexpr size_t kWarmUp = 20;
constexpr uint32_t kMember = 4711;  // of a range: not its first id

struct Lookup {
    std::string_view what;
    std::string request;
};

// Registers namespaces of this uid; the first id of the last one's range.
Result<Uid> register_some(const std::string& socket, Uid user, const std::vector<UniqueFd>& namespaces) {
    ActAs as(user);
    std::string name;
    for (const auto& userns : namespaces) {
        auto connection = TRY(Connection::open(socket));
        std::string_view reply = TRY(connection.ask(allocate_request(), userns.borrow()));
        TRY(require_success(reply));
        constexpr std::string_view kBefore = R"("name":")";
        size_t begin = reply.find(kBefore) + kBefore.size();
        name = reply.substr(begin, reply.find('"', begin) - begin);
    }
    auto connection = TRY(Connection::open(socket));
    std::string_view record = TRY(connection.ask(first_user_request(name)));
    TRY(require_success(record));
    constexpr std::string_view kBefore = R"("uid":)";
    uint32_t uid = 0;
    size_t begin = record.find(kBefore) + kBefore.size();
    std::from_chars(record.data() + begin, record.data() + record.size(), uid);
    return Uid(uid);
}

Status compare_kept(Setting& setting, const Instance& instance, const EchoServer& echo, const Lookup& lookup) {
    auto bare = TRY(Connection::open(echo.path()));
    auto ours = TRY(Connection::open(instance.socket()));
    Samples floor, asked;
    for (size_t i = 0; i < setting.times(3000, 20000); ++i) {
        TRY(floor.time([&] { return bare.ask(lookup.request); }));
        TRY(asked.time([&] { return ours.ask(lookup.request); }));
    }
    setting.table.compare(fmt::format("{}, kept connection", lookup.what), floor, asked, Budget{.value = kKeptBudget});
    return {};
}

Status compare_fresh(Setting& setting, const Instance& instance, const EchoServer& echo, const Lookup& lookup) {
    Samples floor, asked;
    for (size_t i = 0; i < setting.times(3000, 20000); ++i) {
        TRY(floor.time([&] { return ask_any(echo.path(), lookup.request); }));
        TRY(asked.time([&] { return ask_any(instance.socket(), lookup.request); }));
    }
    setting.table.compare(fmt::format("{}, fresh connection", lookup.what), floor, asked,
                          Budget{.value = kFreshBudget});
    return {};
}

Status measure(Setting& setting, const Instance& instance, const Lookup& lookup) {
    auto probe = TRY(Connection::open(instance.socket()));
    size_t reply_size = 0;
    for (size_t i = 0; i < kWarmUp; ++i) reply_size = TRY(probe.ask(lookup.request)).size();
    auto echo = TRY(EchoServer::start(setting.place.runtime + "/echo", reply_size));
    TRY(compare_kept(setting, instance, echo, lookup));
    return compare_fresh(setting, instance, echo, lookup);
}

}  // namespace

Status measure_lookups(Setting& setting) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    Uid user = next_user();
    {
        auto namespaces = TRY(make_user_namespaces(user, kRegistrations));
        Uid first = TRY(register_some(instance.socket(), user, namespaces));
        setting.table.print_section(
            fmt::format("Look-ups, {} registrations (floor: echo of the same size)", kRegistrations));
        for (const Lookup& lookup : {Lookup{"GetUserRecord by uid", user_record_request(Uid(first.value + kMember))},
                                     Lookup{"GetMemberships", memberships_request()}})
            TRY(measure(setting, instance, lookup));
    }
    TRY(instance.wait_until_released(user));
    return instance.stop();
}

}  // namespace nsr::bench
