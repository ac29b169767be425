// SPDX-License-Identifier: LGPL-2.1-or-later
// All ranges of the large pool taken.
#include "connection.h"
#include "crowd.h"
#include "kernel_work.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kRanges = 28664;
constexpr size_t kOnePercent = kRanges / 100;
constexpr double kMebi = 1 << 20;

Status expect_no_range(const Instance& instance) {
    Uid user = next_user();
    auto namespaces = TRY(make_user_namespaces(user, 1));
    ActAs as(user);
    auto connection = TRY(Connection::open(instance.socket()));
    std::string_view reply = TRY(connection.ask(allocate_request(), namespaces[0].borrow()));
    if (reply.find("NoDynamicRange") == std::string_view::npos) return fail(EPROTO, "the pool is not full: {}", reply);
    return {};
}

Status fill(Setting& setting, const Instance& instance, Crowd& crowd) {
    Samples warm_up, first, middle, last, floor_first, floor_last;
    uint64_t begin = now_nsec();
    TRY(crowd.grow(instance, 1, warm_up));
    TRY(crowd.grow(instance, kOnePercent, first, &floor_first));
    TRY(crowd.grow(instance, kRanges - 2 * kOnePercent - 1, middle));
    TRY(crowd.grow(instance, kOnePercent, last, &floor_last));
    double seconds = static_cast<double>(now_nsec() - begin) / 1e9;
    TRY(expect_no_range(instance));
    auto& table = setting.table;
    table.print_section(fmt::format("Filling all {} ranges", kRanges));
    table.compare("first 1 %", floor_first, first, {});
    table.compare("the 98 % between, against the first 1 % (no floor)", first, middle, {});
    table.compare("last 1 %", floor_last, last, {});
    // The floor tells how much slower the kernel has become.
    double drift = floor_last.p50() / floor_first.p50();
    table.figure("last 1 % against first, medians, floor taken out", last.p50() / first.p50() / drift, "x",
                 Budget{.value = 2});
    table.figure("last 1 % against first, means", last.mean() / first.mean(), "x", Budget{.value = 2});
    table.figure("all of it", seconds, "s", {});
    table.note("The very last range was found, and the next call got NoDynamicRange.");
    return {};
}

}  // namespace

Status measure_full_pool(Setting& setting) {
    auto& table = setting.table;
    auto instance = TRY(Instance::start(setting.place, "none"));
    Crowd crowd;
    TRY(fill(setting, instance, crowd));
    Memory memory = TRY(memory_of(instance.pid()));
    table.figure("memory of the manager with all registrations", static_cast<double>(memory.resident) / kMebi, "MiB",
                 Budget{.value = 8});
    TRY(instance.stop());
    Samples starts;
    double start = 0;
    for (size_t i = 0; i < setting.times(3, 9); ++i) {
        auto again = TRY(Instance::start(setting.place, "none"));
        auto started = again.start_seconds();
        if (i == 0 || started < start) start = started;
        starts.add(started);
        TRY(again.stop());
    }
    table.figure("start to ready with all registrations, median", starts.p50() / 1e6, "s", Budget{.value = 0.5});
    table.figure("start to ready with all registrations, best", start, "s", {});
    auto last = TRY(Instance::start(setting.place, "none"));
    memory = TRY(memory_of(last.pid()));
    table.figure("memory of the manager after such a start", static_cast<double>(memory.resident) / kMebi, "MiB",
                 Budget{.value = 8});
    Samples cleaning;
    auto clean = cleaning.time([&] {
        crowd.release();
        return crowd.wait_until_released(last);
    });
    TRY(clean);
    table.figure("all of them closed at once: registry clean", cleaning.p50() / 1e6, "s", {});
    return last.stop();
}

}  // namespace nsr::bench
