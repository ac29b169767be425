// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel policy costs: until it is loaded, and processes that it does not concern.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <filesystem>

#include "base/sys.h"
#include "rows.h"

namespace nsr::bench {

namespace {

/// Calls that are timed as one, so that the clock does not count.
constexpr size_t kBatch = 50;
constexpr size_t kMaxStatusSize = 65536;

struct Deed {
    const char* what;
    bool (*step)(int dir);
    std::optional<Budget> budget;
};

bool open_and_close(int dir) {
    UniqueFd fd(openat(dir, "existing", O_RDONLY | O_CLOEXEC));
    return static_cast<bool>(fd);
}
bool create_and_unlink(int dir) {
    UniqueFd fd(openat(dir, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    return fd && unlinkat(dir, "new", 0) == 0;
}
bool make_and_remove_directory(int dir) {
    return mkdirat(dir, "directory", 0700) == 0 && unlinkat(dir, "directory", AT_REMOVEDIR) == 0;
}
bool change_owner(int dir) { return fchownat(dir, "existing", 0, 0, 0) == 0; }
bool change_mode(int dir) { return fchmodat(dir, "existing", 0600, 0) == 0; }

constexpr std::array kDeeds{
    Deed{"open and close", open_and_close, Budget{.value = 1.02}},
    Deed{"create, close and unlink", create_and_unlink, Budget{.value = 1.05}},
    Deed{"mkdir and rmdir", make_and_remove_directory, std::nullopt},
    Deed{"chown", change_owner, std::nullopt},
    Deed{"chmod", change_mode, std::nullopt},
};
using Series = std::array<Samples, kDeeds.size()>;

Result<UniqueFd> make_workplace(const Place& place) {
    std::string path = place.runtime + "/work";
    std::error_code ignored;
    std::filesystem::create_directory(path, ignored);
    UniqueFd dir = TRY(sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY));
    TRY(sys::open_at(dir.borrow(), "existing", O_WRONLY | O_CREAT, 0600));
    return dir;
}

// The least of many short batches: what is looked for is smaller than what other work on the machine does to them.
Result<double> least_of(const Deed& deed, BorrowedFd dir, size_t batches) {
    Samples samples;
    auto batch = [&]() -> Status {
        for (size_t i = 0; i < kBatch; ++i)
            if (!deed.step(dir.get())) return fail(EIO, "{} failed", deed.what);
        return {};
    };
    for (size_t i = 0; i < batches; ++i) TRY(samples.time(batch));
    return samples.percentile(0) / 1e6;
}

Status do_deeds(BorrowedFd dir, size_t batches, Series& series) {
    for (size_t i = 0; i < kDeeds.size(); ++i) series[i].add(TRY(least_of(kDeeds[i], dir, batches)));
    return {};
}

Result<bool> enforces(const Place& place) {
    UniqueFd file = TRY(sys::open_at(sys::kCwd, place.runtime + "/run/nsresource/status", O_RDONLY));
    auto text = TRY(sys::read_all(file.borrow(), kMaxStatusSize));
    return text.find(R"("enforcement":"enforce")") != std::string::npos;
}

struct Starts {
    Samples without, with;
};

// One round: an instance without the policy, and one with it; deeds while each of them runs.
Status measure_round(Setting& setting, BorrowedFd dir, Starts& starts, Series& without, Series& with) {
    size_t batches = setting.times(60, 200);
    auto bare = TRY(Instance::start(setting.place, "refuse"));
    starts.without.add(bare.start_seconds());
    TRY(do_deeds(dir, batches, without));
    TRY(bare.stop());
    auto enforcing = TRY(Instance::start(setting.place, "enforce"));
    starts.with.add(enforcing.start_seconds());
    TRY(do_deeds(dir, batches, with));
    return enforcing.stop();
}

}  // namespace

Result<bool> can_enforce(const Setting& setting) {
    auto instance = TRY(Instance::start(setting.place, "enforce"));
    bool can = TRY(enforces(setting.place));
    TRY(instance.stop());
    return can;
}

Status measure_enforced_allocation(Setting& setting) {
    if (!TRY(can_enforce(setting))) return {};
    return measure_allocation(setting, "enforce");
}

Status measure_policy(Setting& setting) {
    setting.table.print_section("Kernel policy: without it, and with it");
    if (!TRY(can_enforce(setting))) {
        setting.table.note("not measured: this kernel cannot have it");
        return {};
    }
    UniqueFd dir = TRY(make_workplace(setting.place));
    Starts starts;
    Series without, with;
    for (size_t round = 0; round < setting.times(3, 10); ++round)
        TRY(measure_round(setting, dir.borrow(), starts, without, with));
    setting.table.compare("start to ready, with loading and proof", starts.without, starts.with, std::nullopt);
    for (size_t i = 0; i < kDeeds.size(); ++i)
        setting.table.compare(fmt::format("{} x {}", kBatch, kDeeds[i].what), without[i], with[i], kDeeds[i].budget);
    return {};
}

}  // namespace nsr::bench
