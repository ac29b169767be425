// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/startup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "base/sys.h"
#include "registry/recover.h"
#include "service/release.h"
#include "service/stock.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kLockUsec = 10'000'000;
/// Descriptors that are no connections: workers (three each), the registry, the loop.
constexpr size_t kReservedDescriptors = 512;

Result<UniqueFd> make_directory(const std::string& path, mode_t mode) {
    TRY(sys::ensure_directory(sys::kCwd, path, mode));
    return sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
}

// Workers hold it too, so that it is free only when the last one is gone: one of a killed manager's that is still at
// work would write maps for a record that the new manager has just taken back.
Result<UniqueFd> lock_instance(BorrowedFd runtime) {
    TRY(sys::ensure_directory(runtime, "nsresource", 0755));
    UniqueFd fd = TRY(sys::open_at(runtime, "nsresource/instance", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    for (uint64_t end = sys::now_usec() + kLockUsec; flock(fd.get(), LOCK_EX | LOCK_NB) < 0; usleep(10'000)) {
        int code = errno;
        if (code != EWOULDBLOCK) return fail_errno(code, "lock of the instance");
        if (sys::now_usec() > end) return fail(EBUSY, "another instance uses this runtime directory");
    }
    return fd;
}

std::vector<Uid> transient_starts(const registry::Registration& registration) {
    std::vector<Uid> starts;
    if (registration.is_transient()) starts.push_back(registration.range->start);
    for (const auto& delegate : registration.delegates) starts.push_back(delegate.start);
    return starts;
}

}  // namespace

Result<Premises> enter_premises(const Options& options) {
    Premises premises;
    premises.runtime = TRY(make_directory(options.runtime_dir, 0755));
    premises.state = TRY(make_directory(options.state_dir, 0755));
    premises.instance_lock = TRY(lock_instance(premises.runtime.borrow()));
    return premises;
}

Result<service::Context> open_context(const Premises& premises, const Options& options, policy::Level level) {
    UniqueFd nsresource = TRY(sys::open_at(premises.runtime.borrow(), "nsresource", O_RDONLY | O_DIRECTORY));
    service::Context context{.store = TRY(registry::Store::open(premises.runtime.borrow())),
                             .prober = TRY(namespaces::Prober::create()),
                             .own = TRY(namespaces::UserNamespace::own()),
                             .host_ids = ranges::HostIds(service::host_ids_config(options.runtime_dir)),
                             .authority = {},
                             .level = level,
                             .taken = TRY(ranges::TakenMap::open(nsresource.borrow())),
                             .used_set = {},
                             .writer = getpid(),
                             .took_fresh_range = false,
                             .announce = [](const NsIdentity&) {},
                             .keep_mount = {}};
    if (level == policy::Level::kEnforce || level == policy::Level::kQuarantine)
        context.used_set = TRY(ranges::UsedSet::open(premises.state.borrow(), premises.runtime.borrow()));
    return context;
}

Result<std::vector<NsIdentity>> recover(service::Context& context) {
    for (pid_t writer : TRY(context.store.pending())) TRY(service::repair(context, writer));
    std::vector<NsIdentity> living;
    std::vector<Uid> in_use;
    auto judge = [&](const registry::Registration& registration) {
        if (context.prober.probe(registration.userns) == namespaces::Life::kDead) return registry::Verdict::kRemove;
        living.push_back(registration.userns);
        for (Uid start : transient_starts(registration)) in_use.push_back(start);
        return registry::Verdict::kKeep;
    };
    auto report = TRY(registry::recover(context.store, judge));
    if (report.removed + report.broken + report.links_made + report.links_removed > 0)
        log::notice("Registry: {} entries kept, {} of dead namespaces removed, {} broken", report.kept, report.removed,
                    report.broken);
    context.taken.rebuild(TRY(context.store.taken_starts()));
    if (context.level == policy::Level::kQuarantine) {
        TRY(context.used_set->mark_used(in_use));
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

Status write_status(const Premises& premises, const policy::Choice& choice, const service::Context& context) {
    boost::json::object status{{"version", NSR_VERSION},
                               {"pid", getpid()},
                               {"enforcement", policy::level_to_string(choice.level)},
                               {"reason", choice.reason}};
    if (choice.level == policy::Level::kQuarantine) {
        status["freshContainer"] = TRY(context.used_set->remaining(ranges::kContainerPool));
        status["freshDynamic"] = TRY(context.used_set->remaining(ranges::kDynamicPool));
    }
    BorrowedFd runtime = premises.runtime.borrow();
    UniqueFd fd = TRY(sys::open_at(runtime, "nsresource/status.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
    TRY(sys::write_all(fd.borrow(), boost::json::serialize(status) + "\n"));
    return sys::rename_at(runtime, "nsresource/status.new", runtime, "nsresource/status");
}

void remove_status(const Premises& premises) {
    if (auto removed = sys::unlink_at(premises.runtime.borrow(), "nsresource/status"); !removed)
        log::debug("{}", removed.error().what());
}

}  // namespace nsr::manager
