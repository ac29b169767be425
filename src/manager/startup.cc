// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/startup.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "manager/instance_lock.h"
#include "manager/policy_recovery.h"
#include "ranges/user_copy.h"
#include "registry/recover.h"
#include "service/policy_entries.h"
#include "service/release.h"
#include "service/release_resources.h"
#include "service/stock.h"
#include "service/user_recovery.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kLockUsec = 10'000'000;
/// Descriptors that are no connections: workers (three each), those that the kernel holds, processes that close,
/// parcels, what waits to be closed, the registry, the loop.
constexpr size_t kReservedDescriptors = 1024;

Result<UniqueFd> make_directory(const std::string& path, mode_t mode) {
    TRY(sys::ensure_directory(sys::kCwd, path, mode));
    return sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
}

constexpr char kManagerLock[] = "nsresource/manager";
constexpr char kInstanceLock[] = "nsresource/instance";

Result<UniqueFd> lock_manager(BorrowedFd runtime) {
    auto fd = take_lock(runtime, kManagerLock, kLockUsec);
    if (!fd && fd.error().code() == ETIMEDOUT) return fail(EBUSY, "another instance uses this runtime directory");
    return fd;
}

// Workers hold it too, so that it is free only when the last one is gone: one of a killed manager's that is still at
// work would write maps for a record that the new manager has just taken back. They are killed along with their
// manager, so that this is not for long.
Result<UniqueFd> lock_instance(BorrowedFd runtime) { return take_lock(runtime, kInstanceLock, kLockUsec); }

}  // namespace

Result<Premises> enter_premises(const Options& options) {
    Premises premises;
    premises.runtime = TRY(make_directory(options.runtime_dir, 0755));
    premises.state = TRY(make_directory(options.state_dir, 0755));
    TRY(sys::ensure_directory(premises.runtime.borrow(), "nsresource", 0755));
    premises.manager_lock = TRY(lock_manager(premises.runtime.borrow()));
    premises.instance_lock = TRY(lock_instance(premises.runtime.borrow()));
    return premises;
}

Status begin_boot(const Premises& premises, policy::Level level) {
    using enum ranges::UsedBefore::Reuse;
    if (level == policy::Level::kRefuse) return {};
    return ranges::UsedBefore::begin_boot(premises.state.borrow(), premises.runtime.borrow(),
                                          level == policy::Level::kNone ? kAtOnce : kAfterReclaim);
}

namespace {

// A range whose namespace was not under the policy all the time is handed out again only after a reclaim, whatever the
// level is by now.
Status mark_unsafe_ranges(service::Context& context, const KernelSide& kernel, std::span<const Uid> in_use) {
    bool all = context.level == policy::Level::kQuarantine ||
               (context.level == policy::Level::kEnforce && !kernel.was_enforced());
    return all ? context.used_set->mark_used(in_use) : Status();
}

}  // namespace

Result<std::vector<Watched>> recover(service::Context& context, const KernelSide& kernel) {
    // One that cannot be decided now stays recorded, so that its range stays taken, until the next start.
    for (pid_t writer : TRY(context.store.pending()))
        if (auto repaired = service::repair(context, writer); !repaired)
            log::error("Cannot repair what worker {} left: {}", writer, repaired.error().what());
    TRY(service::forget_all_releases(context));
    PolicyRecovery policy(context);
    service::UserRecovery users(context);
    std::vector<Watched> living;
    std::vector<Uid> in_use;
    auto judge = [&](const registry::Registration& registration) {
        bool is_dead = policy.enter(registration) == namespaces::Life::kDead;
        // What was added to it, and what has its ids, is released before the record goes: the reaper sees to that.
        bool has_more =
            !registration.cgroups.empty() || !registration.network_interfaces.empty() || !registration.starts().empty();
        if (is_dead && !has_more) return registry::Verdict::kRemove;
        living.push_back({registration.userns, registration.owner});
        for (Uid start : registration.starts()) in_use.push_back(start);
        policy.keep(registration);
        users.keep(registration);
        return registry::Verdict::kKeep;
    };
    auto report = TRY(registry::recover(context.store, judge));
    if (report.removed + report.broken + report.links_made + report.links_removed > 0)
        log::notice("Registry: {} entries kept, {} of dead namespaces removed, {} broken", report.kept, report.removed,
                    report.broken);
    TRY_WITHIN("kernel policy", policy.complete());
    users.complete();
    context.taken.rebuild(TRY(context.store.taken_starts()));
    TRY(mark_unsafe_ranges(context, kernel, in_use));
    if (context.level == policy::Level::kQuarantine) {
        TRY(service::forget_unused_ranges(context));
        TRY(service::refill(context));
    }
    return living;
}

Result<size_t> max_connections() {
    struct rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    if (limit.rlim_cur <= 2 * kReservedDescriptors) return limit.rlim_cur / 2;
    return limit.rlim_cur - kReservedDescriptors;
}

// Ranges are marked ahead in a gap, too.
Status leave_state(service::Context& context, const KernelSide& kernel) {
    if (context.level != policy::Level::kQuarantine && !kernel.gap()) return {};
    if (!context.used_set) return {};
    Status saved = ranges::save_users(context.users, context.state_dir.borrow());
    if (!saved) log::warning("Cannot keep the table of users for the next boot: {}", saved.error().what());
    return context.used_set->give_back();
}

}  // namespace nsr::manager
