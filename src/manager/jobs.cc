// SPDX-License-Identifier: LGPL-2.1-or-later
// The manager's side of work that no client waits for.
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "manager/manager.h"

namespace nsr::manager {

namespace {

using pool::Message;
using pool::MessageType;
using pool::WorkerState;

constexpr int kMaxAttempts = 3;
/// From a release to the removal of what it left because it was large.
constexpr uint64_t kTidyUsec = 200'000;
/// Between two attempts at a repair.
constexpr uint64_t kRepairAgainUsec = 1'000'000;
/// Between two attempts at cgroups that are busy.
constexpr uint64_t kTidyAgainUsec = 2'000'000;

}  // namespace

// Releases exclude each other anyway: one turn after the other, or they only keep workers waiting.
bool Manager::release_waits() {
    return !releases_.empty() && std::ranges::none_of(pool_.all(), [](const auto& worker) {
        return worker->job && worker->job->type == MessageType::kRelease;
    });
}

bool Manager::job_waits() { return !jobs_.empty() || release_waits() || tidying_ == Tidying::kWaiting; }

// Tidying last: its turns follow each other for as long as there is something to remove.
Job Manager::next_job() {
    if (!jobs_.empty()) {
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        return job;
    }
    if (release_waits()) {
        auto turn = releases_.next();
        return {.type = MessageType::kRelease,
                .namespaces = std::move(turn.namespaces),
                .attempts = turn.attempts,
                .user = turn.user};
    }
    tidying_ = Tidying::kAtWork;
    return {.type = MessageType::kTidy, .namespaces = {}};
}

Manager::Step Manager::dispatch_job() {
    if (!job_waits()) return Step::kNothingToDo;
    Worker* worker = free_worker();
    if (!worker) return Step::kNothingToDo;
    hand_over(*worker, next_job());
    return Step::kDone;
}

void Manager::hand_over(Worker& worker, Job job) {
    Message message;
    message.type = job.type;
    message.namespaces = job.namespaces;
    worker.user = kNoUser;
    worker.slot.set_deadline_usec(sys::now_usec() + pool::kJobUsec);
    worker.slot.set_state(WorkerState::kBusy);
    if (auto sent = worker.channel.send(message); !sent) {
        log::error("Worker {} takes no job: {}", worker.pid, sent.error().what());
        WorkerPool::retire(worker);
        return put_back(std::move(job));
    }
    worker.job = std::move(job);
}

// It has not been begun.
void Manager::put_back(Job job) {
    if (job.type == MessageType::kTidy)
        tidying_ = Tidying::kWaiting;
    else if (job.type != MessageType::kRelease)
        jobs_.push_front(std::move(job));
    else if (job.attempts == 0)
        releases_.put_back({.user = job.user, .namespaces = {}}, job.namespaces);
    else
        releases_.retry({.user = job.user, .namespaces = job.namespaces, .attempts = job.attempts - 1});
}

void Manager::on_job_done(Worker& worker, const Message& message) {
    if (worker.job && worker.job->type == MessageType::kRelease) on_release_done(*worker.job, message);
    if (worker.job && worker.job->type == MessageType::kTidy) on_tidy_done(message.type);
    if (worker.job && worker.job->type == MessageType::kRepair) on_repair_done(*worker.job, message);
    worker.job.reset();
    set_idle(worker);
}

void Manager::on_release_done(const Job& job, const Message& message) {
    auto all = std::span(message.namespaces);
    auto failed = all.first(all.size() - message.for_next_turn);
    auto unfinished = all.last(message.for_next_turn);
    std::vector<NsIdentity> ended;
    for (const auto& identity : job.namespaces) {
        if (std::ranges::find(unfinished, identity) != unfinished.end()) continue;
        ended.push_back(identity);
    }
    reaper_.done(ended, {failed.begin(), failed.end()});
    releases_.put_back({.user = job.user, .namespaces = {}}, unfinished);
    // It may have left a large or busy cgroup behind.
    tidy_after(kTidyUsec);
}

// Not put off by further releases: on a busy host there is always one more.
void Manager::tidy_after(uint64_t usec) {
    if (tidying_ == Tidying::kAtWork) tidy_again_ = true;
    if (tidying_ != Tidying::kNone) return;
    tidying_ = Tidying::kLater;
    tidy_timer_.fire_after(usec);
}

void Manager::tidy_now() {
    tidying_ = Tidying::kWaiting;
    dispatch();
}

void Manager::on_tidy_done(MessageType how) {
    tidying_ = how == MessageType::kUntidy ? Tidying::kWaiting : Tidying::kNone;
    if (std::exchange(tidy_again_, false))
        tidy_after(kTidyUsec);
    else if (how == MessageType::kBusyLeftovers)
        tidy_after(kTidyAgainUsec);
}

// One at a time does all that there is to repair.
void Manager::request_repair() {
    if (std::ranges::any_of(jobs_, [](const Job& job) { return job.type == MessageType::kRepair; })) return;
    auto unread = std::span(unread_).first(std::min(unread_.size(), pool::kMaxNamespaces));
    jobs_.push_front({.type = MessageType::kRepair, .namespaces = {unread.begin(), unread.end()}});
}

// No repair is given up, and what is lacking for it, such as room in the runtime directory, may be there in a moment.
void Manager::repair_later() { repair_timer_.fire_after(kRepairAgainUsec); }

void Manager::on_repair_done(const Job& job, const Message& message) {
    std::erase_if(
        unread_, [&](const NsIdentity& one) { return std::ranges::find(job.namespaces, one) != job.namespaces.end(); });
    unread_.insert(unread_.end(), message.namespaces.begin(), message.namespaces.end());
    if (message.type == MessageType::kUnrepaired || !unread_.empty()) repair_later();
}

void Manager::take_over(const std::vector<NsInode>& unread) {
    for (NsInode inode : unread) unread_.push_back({inode, {}});
    request_repair();
}

// What cannot be done is left for later.
void Manager::retry(Job job) {
    log::OnBehalfOf unknown(log::kUnknownUser);
    if (job.type == MessageType::kRelease) return retry_release(job);
    if (job.type == MessageType::kRepair) return repair_later();
    if (job.type == MessageType::kTidy) return on_tidy_done(MessageType::kBusyLeftovers);
    if (++job.attempts < kMaxAttempts)
        jobs_.push_back(std::move(job));
    else
        log::error("Giving up a job after {} attempts", job.attempts);
}

void Manager::retry_release(const Job& job) {
    if (job.namespaces.size() > 1 || job.attempts + 1 < kMaxAttempts)
        return releases_.retry({.user = job.user, .namespaces = job.namespaces, .attempts = job.attempts});
    log::error("No worker can release user namespace {}", job.namespaces.front().inode);
    reaper_.done(job.namespaces, job.namespaces);
}

// Its registration has ended. Where the kernel gave its inode number to another one, no release by a job did that.
void Manager::forget(const NsIdentity& userns) {
    pins_.drop(userns);
    note_room_for_mounts();
    tidy_after(kTidyUsec);
}

// The registration of a mount's namespace may have been announced by another worker: that is heard first, so that the
// mounts of a former namespace with this inode number have gone by then.
void Manager::keep_mounts() {
    pool_.read_channels();
    for (; !new_mounts_.empty(); new_mounts_.pop_front())
        pins_.keep(new_mounts_.front().first, std::move(new_mounts_.front().second));
    note_room_for_mounts();
}

void Manager::note_room_for_mounts() {
    auto mounts = pins_.is_full() ? pool::Slot::Mounts::kRefused : pool::Slot::Mounts::kWelcome;
    for (auto& worker : pool_.all()) worker->slot.set_mounts(mounts);
}

void Manager::release(const std::vector<Watched>& dead) {
    for (const auto& one : dead) releases_.add(one.identity, one.owner);
    dispatch();
}

}  // namespace nsr::manager
