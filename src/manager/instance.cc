// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/instance.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/printable.h"
#include "base/sys.h"
#include "lifecycle/recovery.h"
#include "manager/descriptor_shares.h"
#include "manager/heartbeat.h"
#include "manager/kernel_side.h"
#include "manager/listening_socket.h"
#include "manager/log_summary.h"
#include "manager/manager.h"
#include "manager/notify.h"
#include "manager/passed_descriptors.h"
#include "manager/registry_guard.h"
#include "manager/spawn.h"
#include "manager/startup.h"
#include "manager/status_file.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kNotifyUsec = 10'000'000;

void tell_service_manager(const std::string& text) {
    if (auto told = notify(text, kNotifyUsec); !told) log::warning("{}", told.error().what());
}

std::string status_line(const policy::Choice& choice) {
    return fmt::format("STATUS=Enforcement: {} ({})", policy::level_to_string(choice.level), printable(choice.reason));
}

std::vector<NsIdentity> identities(const lifecycle::Recovered& recovered) {
    std::vector<NsIdentity> found;
    for (const auto& one : recovered.registered) found.push_back(one.userns);
    return found;
}

Result<lifecycle::Recovered> recover(lifecycle::Instance& instance, const KernelSide& kernel) {
    auto past = kernel.was_enforced() ? lifecycle::Past::kEnforced : lifecycle::Past::kNotEnforced;
    return TRY_WITHIN("recovery of the registry", lifecycle::recover(instance, past));
}

/// Where the start fails, nothing of it stays attached in the kernel that no registered namespace needs.
class StartGuard {
public:
    explicit StartGuard(const KernelSide& kernel) : kernel_(kernel) {}
    StartGuard(const StartGuard&) = delete;
    StartGuard& operator=(const StartGuard&) = delete;
    ~StartGuard() {
        if (has_succeeded_) return;
        if (auto entries = kernel_.entries()) kernel_.leave(*entries);
    }
    void succeed() { has_succeeded_ = true; }

private:
    const KernelSide& kernel_;
    bool has_succeeded_ = false;
};

}  // namespace

Result<int> run_instance(const Options& options) {
    if (geteuid() != 0) return fail(EPERM, "only root can hand out user ids");
    // Processes that join a client's namespace share our memory: see namespaces/throw_away.h.
    if (prctl(PR_SET_DUMPABLE, 0) < 0) return fail_errno(errno, "PR_SET_DUMPABLE");
    umask(0022);  // a stricter one would hide the registry from those who may read it
    auto passed = TRY(take_passed_descriptors());
    auto shares = TRY(share_descriptors());
    auto premises = TRY(enter_premises(options));
    auto kernel = KernelSide::set_up(options);
    StartGuard start(kernel);
    const auto& choice = kernel.choice();
    auto entries = TRY(kernel.entries());
    TRY_WITHIN("record of used ranges", begin_boot(premises, choice.level));
    auto instance = TRY(lifecycle::Instance::open(options.runtime_dir, options.state_dir, choice.level,
                                                  std::move(entries), lifecycle::Instance::Part::kManager));
    instance.missed_calls = kernel.missed_calls();
    auto recovered = TRY(recover(instance, kernel));
    kernel.finish_exchange();
    auto socket = TRY(ListeningSocket::acquire(options.runtime_dir, std::move(passed.listening)));
    auto loop = TRY(EventLoop::create());
    auto log_quota = std::make_shared<pool::LogQuota>(TRY(pool::LogQuota::create()));
    pool::bound_log(log_quota, [&instance](Uid uid) { return instance.users.user_of(uid); });
    LogSummary log_summary(log_quota);
    TRY(log_summary.start(loop));
    WorkerPool::Config workers{.program = TRY(find_worker_program()),
                               .runtime_dir = options.runtime_dir,
                               .state_dir = options.state_dir,
                               .level = choice.level,
                               .log_level = options.log_level,
                               .instance_lock = premises.instance_lock.borrow(),
                               .log_quota = log_quota->fd(),
                               .entries = &instance.entries,
                               .missed_calls = instance.missed_calls};
    Manager manager(loop, socket.fd(),
                    {.shares = shares,
                     .workers = std::move(workers),
                     .senses = kernel.senses(instance),
                     .user_of = [&instance](Uid uid) { return instance.users.user_of(uid); }});
    manager.pins().take_back(std::move(passed.mounts), identities(recovered));
    TRY(manager.start());
    // Only now: one that has died by this time is released at once.
    for (const auto& one : recovered.registered) manager.reaper().watch({one.userns, one.owner});
    manager.take_over(recovered.unread);
    Source bell = TRY(kernel.ring(loop, manager.reaper()));
    TRY(loop.feed_watchdog());
    StatusFile status(premises.runtime.borrow(), kernel, instance);
    TRY(status.write());
    Source refreshing = TRY(status.refresh(loop));
    malloc_trim(0);  // recovery may have needed much, once
    Heartbeat heartbeat(kernel, instance.entries, [&] {
        instance.level = choice.level;
        manager.change_level(choice.level);
        if (auto written = status.write(); !written) log::warning("Status file: {}", written.error().what());
        tell_service_manager(status_line(choice));
    });
    TRY(heartbeat.start(loop));
    RegistryGuard guard(instance, options.runtime_dir, [&] { manager.replace_workers(instance.level); });
    TRY(guard.start(loop));
    start.succeed();
    tell_service_manager("READY=1\n" + status_line(choice));
    int exit_status = TRY(loop.run());
    tell_service_manager("STOPPING=1");
    manager.stop(socket.is_own() ? Manager::Backlog::kGoes : Manager::Backlog::kStays);
    log_summary.finish();
    kernel.leave(instance.entries);
    TRY(leave_state(instance, kernel));
    return exit_status;
}

}  // namespace nsr::manager
