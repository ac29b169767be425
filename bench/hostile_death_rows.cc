// SPDX-License-Identifier: LGPL-2.1-or-later
// One user lets namespaces die that take long to release. How long does another user's wait for its release, and how
// long does a call that takes the name of an own dead namespace?
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <optional>

#include "base/sys.h"
#include "cgroup_forest.h"
#include "connection.h"
#include "kernel_work.h"
#include "name_taker.h"
#include "other_user.h"
#include "range_holder.h"
#include "raw_client.h"
#include "requests.h"
#include "rows.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kBranches = 200, kLeaves = 199;  // 40,000 cgroups
constexpr size_t kSelfs = 254, kCgroupsEach = 16;
constexpr double kReleaseSeconds = 1, kTakeAgainMilliseconds = 100;
constexpr uint64_t kLongestUsec = 20'000'000;
constexpr size_t kLeastSamples = 5;

/// What dies, all at once, when this goes.
struct Dying {
    Uid user;
    std::vector<CgroupForest> forests;
    std::vector<UniqueFd> namespaces;
    std::optional<RangeHolder> holder;
};

Status add_cgroup(BorrowedFd connection, BorrowedFd userns, BorrowedFd cgroup) {
    send_with(connection, namespace_call("AddControlGroupToUserNamespace", R"("controlGroupFileDescriptor":1)"),
              {userns.get(), cgroup.get()});
    return require_success(receive_some(connection));
}

int grow_tree(const RangeHolder& holder, const std::string& top) {
    holder.join();
    for (size_t i = 0; i < kBranches; ++i) {
        std::string branch = fmt::format("{}/{}", top, i);
        if (mkdir(branch.c_str(), 0755) < 0) return EXIT_FAILURE;
        for (size_t j = 0; j < kLeaves; ++j)
            if (mkdir(fmt::format("{}/{}", branch, j).c_str(), 0755) < 0) return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

// One namespace whose cgroup has 40,000 below it, all with ids of its range.
Result<Dying> grow_large_tree(const Instance& instance) {
    auto holder = TRY(RangeHolder::create(instance.socket()));
    Dying dying{.user = holder.user(), .forests = {}, .namespaces = {}, .holder = std::nullopt};
    dying.forests.push_back(TRY(CgroupForest::create(dying.user)));
    UniqueFd top = TRY(dying.forests.front().open());
    {
        ActAs as(dying.user);
        UniqueFd connection = connect_somehow(instance.socket());
        TRY(add_cgroup(connection.borrow(), holder.userns(), top.borrow()));
    }
    auto child = TRY(Child::run([&] { return grow_tree(holder, dying.forests.front().path()); }));
    TRY(child.wait());
    dying.holder.emplace(std::move(holder));
    return dying;
}

// As many registrations as a user may have, with as many cgroups as each of them may.
Result<Dying> make_selfs(const Instance& instance) {
    Uid user = next_user();
    Dying dying{.user = user, .forests = {}, .namespaces = {}, .holder = std::nullopt};
    dying.forests.push_back(TRY(CgroupForest::create(user)));
    dying.namespaces = TRY(make_user_namespaces(user, kSelfs));
    std::vector<UniqueFd> cgroups;
    cgroups.reserve(kSelfs * kCgroupsEach);
    for (size_t i = 0; i < kSelfs * kCgroupsEach; ++i) cgroups.push_back(TRY(dying.forests.front().add(user, i)));
    ActAs as(user);
    UniqueFd connection = connect_somehow(instance.socket());
    for (size_t i = 0; i < kSelfs; ++i) {
        BorrowedFd userns = dying.namespaces[i].borrow();
        std::string self = fmt::format(R"("name":"s{}","size":1,"type":"self")", i);
        send_with(connection.borrow(), namespace_call("AllocateUserRange", self), {userns.get()});
        TRY(require_success(receive_some(connection.borrow())));
        for (size_t j = 0; j < kCgroupsEach; ++j)
            TRY(add_cgroup(connection.borrow(), userns, cgroups[i * kCgroupsEach + j].borrow()));
    }
    return dying;
}

struct Waits {
    Samples releases, taken_again;
    size_t failed = 0;
    std::string failure;
};

// Of a user who has nothing else.
Status time_release(const Instance& instance, Samples& samples) {
    Uid user = next_user();
    auto namespaces = TRY(make_user_namespaces(user, 1));
    {
        ActAs as(user);
        TRY(ask_once(instance.socket(), allocate_request(), namespaces.front().borrow(), kPatienceUsec));
    }
    return samples.time([&] {
        namespaces.clear();
        return instance.wait_until_released(user);
    });
}

// As long as the attacker's registrations are not released, and at least a few times.
Status measure_waits(const Instance& instance, std::optional<Uid> attacker, Waits& waits) {
    auto taker = TRY(NameTaker::start(instance));
    uint64_t end = sys::now_usec() + kLongestUsec;
    auto goes_on = [&] { return attacker && instance.has_registrations(*attacker) && sys::now_usec() < end; };
    while (waits.releases.count() < kLeastSamples || goes_on()) {
        auto measured = time_release(instance, waits.releases);
        if (measured) continue;
        waits.releases.add(kPatienceUsec / 1e6);
        ++waits.failed;
        waits.failure = measured.error().what();
    }
    waits.taken_again = TRY(taker.stop());
    return {};
}

struct Death {
    std::string_view what;
    Result<Dying> (*prepare)(const Instance&);
};

constexpr Death kDeaths[]{
    {"a cgroup with 40,000 below it", grow_large_tree},
    {"254 of type self, 16 cgroups each", make_selfs},
};

void print_waits(Table& table, std::string_view what, const std::vector<Waits>& rounds, bool has_budget) {
    std::vector<double> releases, taken_again;
    for (const Waits& round : rounds) {
        releases.push_back(round.releases.percentile(1) / 1e6);
        taken_again.push_back(round.taken_again.percentile(1) / 1e3);
    }
    std::ranges::sort(releases);
    std::ranges::sort(taken_again);
    auto budget = [&](double value) { return has_budget ? std::optional(Budget{.value = value}) : std::nullopt; };
    table.figure(fmt::format("{}: release", what), releases[releases.size() / 2], "s, the longest",
                 budget(kReleaseSeconds));
    table.figure("    own dead name taken again", taken_again[taken_again.size() / 2], "ms, the longest",
                 budget(kTakeAgainMilliseconds));
    for (const Waits& round : rounds)
        if (round.failed > 0) table.note(fmt::format("{} failed, such as: {}", round.failed, round.failure));
}

Status measure_death(Setting& setting, const Death& death) {
    auto instance = TRY(Instance::start(setting.place, "none"));
    std::vector<Waits> quiet, attacked;
    double seconds = 0;
    for (size_t round = 0; round < setting.times(1, 3); ++round) {
        TRY(measure_waits(instance, std::nullopt, quiet.emplace_back()));
        std::optional<Dying> dying = TRY(death.prepare(instance));
        Uid attacker = dying->user;
        // They are removed here only if the service does not.
        std::vector<CgroupForest> forests = std::move(dying->forests);
        uint64_t begin = sys::now_usec();
        dying.reset();
        TRY(measure_waits(instance, attacker, attacked.emplace_back()));
        TRY(instance.wait_until_released(attacker));
        seconds = static_cast<double>(sys::now_usec() - begin) / 1e6;
    }
    print_waits(setting.table, "another user's, quiet", quiet, false);
    print_waits(setting.table, fmt::format("beside {}", death.what), attacked, true);
    setting.table.figure("    until the attacker's registrations are released", seconds, "s, last round", {});
    return instance.stop();
}

}  // namespace

Status measure_hostile_deaths(Setting& setting) {
    setting.table.print_section("Namespaces of one user that take long to release, all dying at once");
    for (const Death& death : kDeaths)
        if (auto measured = measure_death(setting, death); !measured)
            setting.table.fail(death.what, measured.error().what());
    return {};
}

}  // namespace nsr::bench
