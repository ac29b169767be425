// SPDX-License-Identifier: LGPL-2.1-or-later
// AllocateUserRange against the bare kernel work, one of each in turn.
#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kBatch = 200;  // a uid may have 256 registrations
constexpr size_t kWarmUp = 10;
constexpr uint32_t kFloorStart = 1u << 31;

struct Pairs {
    Samples floor, ours;
};

// `allocate` takes the text of a request and the namespace. What is made here dies after the last measurement.
template <class Allocate>
Status measure_batch(Uid user, Pairs& pairs, Allocate&& allocate) {
    auto bare = TRY(make_user_namespaces(user, kBatch));
    auto asked = TRY(make_user_namespaces(user, kBatch));
    Pairs warm_up;
    for (size_t i = 0; i < kBatch; ++i) {
        Pairs& target = i < kWarmUp ? warm_up : pairs;
        TRY(target.floor.time([&] { return map_user_namespace(bare[i].borrow(), kFloorStart); }));
        std::string request = allocate_request();
        ActAs as(user);
        TRY(target.ours.time([&] { return allocate(request, asked[i].borrow()); }));
    }
    return {};
}

Result<Connection> connect_as(Uid user, const std::string& path) {
    ActAs as(user);
    return Connection::open(path);
}

Status measure_kept(const Instance& instance, Pairs& pairs) {
    Uid user = next_user();
    {
        auto connection = TRY(connect_as(user, instance.socket()));
        Status measured = measure_batch(user, pairs, [&](const std::string& request, BorrowedFd userns) -> Status {
            return require_success(TRY(connection.ask(request, userns)));
        });
        TRY(measured);
    }
    return instance.wait_until_released(user);
}

Status measure_fresh(const Instance& instance, Pairs& pairs) {
    Uid user = next_user();
    TRY(measure_batch(user, pairs, [&](const std::string& request, BorrowedFd userns) {
        return ask_once(instance.socket(), request, userns);
    }));
    return instance.wait_until_released(user);
}

}  // namespace

Status measure_allocation(Setting& setting, const std::string& enforcement) {
    auto instance = TRY(Instance::start(setting.place, enforcement));
    Pairs kept, fresh;
    for (size_t i = 0; i < setting.times(3, 15); ++i) {
        TRY(measure_kept(instance, kept));
        TRY(measure_fresh(instance, fresh));
    }
    setting.table.print_section(fmt::format("AllocateUserRange, 65536 ids, --enforcement={}", enforcement));
    setting.table.compare("kept connection", kept.floor, kept.ours, Budget{.value = 1.5});
    setting.table.compare("fresh connection each", fresh.floor, fresh.ours, Budget{.value = 1.9});
    return instance.stop();
}

}  // namespace nsr::bench
