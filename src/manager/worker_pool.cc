// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/worker_pool.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "base/shortage.h"
#include "base/sys.h"
#include "manager/spawn.h"
#include "pool/start.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxStarts = 250;
constexpr uint64_t kStartWindowUsec = 2'000'000;
/// From a start that failed to the next one.
constexpr uint64_t kAgainUsec = 200'000;
constexpr uint64_t kIdleUsec = 25'000'000;
constexpr uint64_t kDeadlineGraceUsec = 1'000'000;
/// A process that was killed is gone within this time, unless the kernel holds it.
constexpr uint64_t kDeathUsec = 2'000'000;
/// Between two looks at those that are to end at a stop.
constexpr uint64_t kStopPollUsec = 2'000;
/// At a stop, for processes that end by themselves, and for those that were killed.
constexpr uint64_t kStopDeathUsec = 300'000;
/// From its start to its first message. It inherits copies of all descriptors until exec(2) has closed them, and may be
/// the last one to let go of one that a client has made slow to close.
constexpr uint64_t kStartUsec = 30'000'000;
/// Of one worker, before another one is heard.
constexpr int kMaxMessages = 256;

void kill_process(const Worker& worker) { syscall(SYS_pidfd_send_signal, worker.pidfd.get(), SIGKILL, nullptr, 0); }

}  // namespace

bool Worker::is_in_flight() const {
    using pool::WorkerState;
    if (!connection) return false;
    WorkerState state = slot.state();
    return state == WorkerState::kGiven || state == WorkerState::kReading || state == WorkerState::kBusy;
}

WorkerPool::WorkerPool(EventLoop& loop, Config config, Events events)
    : loop_(loop), config_(std::move(config)), events_(std::move(events)) {}

Status WorkerPool::start() {
    refill_timer_ = TRY(loop_.make_timer([this] { refill(); }));
    refill();
    return {};
}

WorkerPool::StartRate WorkerPool::count_start() {
    uint64_t now = sys::now_usec();
    while (!starts_usec_.empty() && starts_usec_.front() + kStartWindowUsec <= now) starts_usec_.pop_front();
    if (starts_usec_.size() >= kMaxStarts) return StartRate::kExceeded;
    starts_usec_.push_back(now);
    return StartRate::kAllowed;
}

void WorkerPool::refill() {
    while (workers_.size() < kLow) {
        if (count_start() == StartRate::kExceeded) {
            if (workers_.empty()) return events_.on_hopeless();
            log::warning("{} workers were started in {} seconds; waiting before the next", kMaxStarts,
                         kStartWindowUsec / 1'000'000);
            return refill_timer_.fire_after(kStartWindowUsec);
        }
        auto spawned = spawn();
        if (spawned) continue;
        log::error("Cannot start a worker: {}", spawned.error().what());
        return refill_timer_.fire_after(kAgainUsec);
    }
}

void WorkerPool::grow() {
    if (workers_.size() >= kHigh || count_start() == StartRate::kExceeded) return;
    if (auto spawned = spawn(); !spawned) log::error("Cannot start a worker: {}", spawned.error().what());
}

namespace {

std::string entries_argument(const policy::MissedCalls& missed_calls) {
    std::string argument = pool::kWithEntries;
    for (uint32_t program : missed_calls.programs()) argument += fmt::format(",{}", program);
    return argument;
}

}  // namespace

Status WorkerPool::spawn() {
    auto pair = TRY(sys::socket_pair(SOCK_SEQPACKET));
    pool::Slot slot = TRY(pool::Slot::create());
    // The manager waits for nobody, not even for a worker that does not read.
    fcntl(pair.first.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    std::vector<std::pair<BorrowedFd, int>> fds{{pair.second.borrow(), pool::kChannelFd},
                                                {slot.fd(), pool::kSlotFd},
                                                {config_.instance_lock, pool::kInstanceLockFd},
                                                {config_.log_quota, pool::kLogQuotaFd}};
    bool has_entries = config_.entries && config_.entries->exist();
    if (has_entries) {
        const auto& maps = *config_.entries->maps();
        fds.emplace_back(maps.namespaces.borrow(), pool::kNamespacesFd);
        fds.emplace_back(maps.owners.borrow(), pool::kOwnersFd);
        fds.emplace_back(maps.cgroups.borrow(), pool::kCgroupsFd);
        fds.emplace_back(maps.missed.borrow(), pool::kMissedFd);
        fds.emplace_back(maps.beats.borrow(), pool::kBeatsFd);
    }
    pid_t pid =
        TRY(manager::spawn(config_.program,
                           {config_.runtime_dir, config_.state_dir, std::string(policy::level_to_string(config_.level)),
                            std::string(log::level_to_string(config_.log_level)),
                            has_entries ? entries_argument(config_.missed_calls) : pool::kWithoutEntries},
                           fds));
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    int code = errno;
    if (!pidfd) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return fail_errno(code, "pidfd_open");
    }
    auto worker = std::make_unique<Worker>(pid, std::move(pidfd), std::move(pair.first), std::move(slot));
    worker->slot.set_deadline_usec(sys::now_usec() + kStartUsec);
    if (Status watched = watch(*worker); !watched) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return watched;
    }
    workers_.push_back(std::move(worker));
    return {};
}

Status WorkerPool::watch(Worker& worker) {
    worker.channel_source = TRY(loop_.watch_fd(worker.channel.fd(), EPOLLIN, [this, &worker] { on_channel(worker); }));
    worker.exit_source = TRY(loop_.watch_fd(worker.pidfd.borrow(), EPOLLIN, [this, &worker] { on_exit(worker); }));
    return {};
}

WorkerPool::Heard WorkerPool::on_channel(Worker& worker) {
    auto message = worker.channel.receive();
    if (!message && is_shortage(message.error().code())) return Heard::kNothing;
    if (!message || !*message) {
        // It is about to end, or has lost its mind.
        worker.channel_source.disable();
        if (!message) kill_process(worker);
        return Heard::kNothing;
    }
    events_.on_message(worker, std::move(**message));
    return Heard::kMessage;
}

// A message may have a worker added, and has none removed.
void WorkerPool::read_channels() {
    for (size_t i = 0; i < workers_.size(); ++i)
        for (int n = 0; n < kMaxMessages && on_channel(*workers_[i]) == Heard::kMessage; ++n) {
        }
}

namespace {

// A client can make its worker fail, and what it lets die can make one fail that has a job.
std::optional<Uid> cause_of_end(const Worker& worker) {
    if (worker.job) return log::kUnknownUser;
    return worker.connection ? std::optional(worker.user) : std::nullopt;
}

}  // namespace

void WorkerPool::log_exit(Worker& worker) const {
    log::OnBehalfOf cause(cause_of_end(worker));
    siginfo_t info{};
    waitid(P_PIDFD, static_cast<id_t>(worker.pidfd.get()), &info, WEXITED);
    worker.ended_well = info.si_code == CLD_EXITED && info.si_status == 0;
    switch (info.si_code) {
        case CLD_EXITED:
            if (info.si_status == 0)
                log::debug("Worker {} ended", worker.pid);
            else
                log::warning("Worker {} failed with exit status {}", worker.pid, info.si_status);
            break;
        case CLD_DUMPED:
            log::error("Worker {} crashed with signal {} and dumped core", worker.pid, sigabbrev_np(info.si_status));
            break;
        default:
            log::warning("Worker {} was killed by signal {}", worker.pid, sigabbrev_np(info.si_status));
    }
}

void WorkerPool::on_exit(Worker& worker) {
    // What it said before it died still counts.
    for (;;) {
        auto message = worker.channel.receive();
        if (!message || !*message) break;
        events_.on_message(worker, std::move(**message));
    }
    log_exit(worker);
    auto is_this = [&](const auto& candidate) { return candidate.get() == &worker; };
    if (std::erase_if(lost_, is_this) > 0) return events_.on_lost_exit();
    events_.on_exit(worker);
    std::erase_if(workers_, is_this);
    refill();
}

Worker* WorkerPool::find_idle() {
    Worker* found = nullptr;
    for (auto& worker : workers_)
        if (worker->is_idle() && (!found || worker->idle_since_usec > found->idle_since_usec)) found = worker.get();
    return found;
}

size_t WorkerPool::count_free() const {
    return static_cast<size_t>(std::ranges::count_if(workers_, [](const auto& worker) {
        return worker->is_idle() || (worker->connection && worker->slot.state() == pool::WorkerState::kLingering);
    }));
}

void WorkerPool::retire(Worker& worker) {
    worker.retiring = true;
    shutdown(worker.channel.fd().get(), SHUT_WR);
}

void WorkerPool::change_level(policy::Level level) {
    config_.level = level;
    for (auto& worker : workers_)
        if (!worker->retiring) retire(*worker);
}

void WorkerPool::retire_idle() {
    uint64_t now = sys::now_usec();
    size_t staying =
        static_cast<size_t>(std::ranges::count_if(workers_, [](const auto& worker) { return !worker->retiring; }));
    for (auto& worker : workers_) {
        if (staying <= kLow) return;
        if (!worker->is_idle() || worker->idle_since_usec + kIdleUsec > now) continue;
        retire(*worker);
        --staying;
    }
}

void WorkerPool::kill_late() {
    uint64_t now = sys::now_usec();
    std::vector<Worker*> lost;
    for (auto& worker : workers_) {
        if (worker->killed_at_usec != 0) {
            if (worker->killed_at_usec + kDeathUsec < now) lost.push_back(worker.get());
            continue;
        }
        uint64_t deadline = worker->slot.deadline_usec();
        if (deadline == 0 || deadline + kDeadlineGraceUsec > now) continue;
        log::OnBehalfOf cause(cause_of_end(*worker));
        log::error("Worker {} has passed its deadline, and is killed", worker->pid);
        worker->killed_at_usec = now;
        kill_process(*worker);
    }
    for (Worker* worker : lost) lose(*worker);
}

// It will never run another instruction of ours, so that what it left can be repaired as if it were gone.
void WorkerPool::lose(Worker& worker) {
    log::OnBehalfOf cause(cause_of_end(worker));
    log::error("Worker {} is held in the kernel, by a descriptor of user {} it seems: counted as lost", worker.pid,
               worker.user);
    events_.on_exit(worker);
    auto place = std::ranges::find_if(workers_, [&](const auto& candidate) { return candidate.get() == &worker; });
    lost_.push_back(std::move(*place));
    workers_.erase(place);
    worker.channel_source = Source();
    refill();
}

size_t WorkerPool::count_lost(Uid user) const {
    return static_cast<size_t>(std::ranges::count_if(lost_, [&](const auto& worker) { return worker->user == user; }));
}

// What a worker only reads, refuses or closes can be dropped; what it is at may be worth finishing.
void WorkerPool::stop(uint64_t grace_usec) {
    for (auto& worker : workers_) shutdown(worker->channel.fd().get(), SHUT_RDWR);
    auto is_at_work = [](const Worker& worker) { return worker.slot.state() == pool::WorkerState::kBusy; };
    log_ended_until(sys::now_usec() + grace_usec, is_at_work);
    log_ended_until(sys::now_usec() + kStopDeathUsec, [](const Worker& worker) {
        // An idle one ends by itself, now that its channel is shut down.
        return worker.slot.state() != pool::WorkerState::kReading;
    });
    for (auto& worker : workers_) kill_process(*worker);
    log_ended_until(sys::now_usec() + kStopDeathUsec, [](const Worker&) { return true; });
    for (auto& worker : workers_) {
        log::error("Worker {} is held in the kernel, and left behind", worker->pid);
        empty_channel(*worker);
    }
    for (auto& worker : lost_) empty_channel(*worker);
    workers_.clear();
    lost_.clear();
}

// What lies there would be closed along with it.
void WorkerPool::empty_channel(Worker& worker) {
    for (;;) {
        auto message = worker.channel.receive();
        if (!message || !*message) return;
        events_.on_late_message(std::move(**message));
    }
}

// Forgets those that have ended, as long as one lives that is waited for.
template <class Predicate>
void WorkerPool::log_ended_until(uint64_t end_usec, Predicate waited_for) {
    for (;;) {
        std::vector<struct pollfd> polls;
        for (auto& worker : workers_) polls.push_back({worker->pidfd.get(), POLLIN, 0});
        if (!sys::poll(polls, 0)) return;
        size_t index = 0;
        std::erase_if(workers_, [&](const auto& worker) {
            bool has_ended = polls[index++].revents != 0;
            if (!has_ended) return false;
            log_exit(*worker);
            empty_channel(*worker);
            return true;
        });
        bool is_over = std::ranges::none_of(workers_, [&](const auto& worker) { return waited_for(*worker); });
        if (is_over || sys::now_usec() >= end_usec) return;
        static_cast<void>(sys::poll({}, kStopPollUsec));
    }
}

}  // namespace nsr::manager
