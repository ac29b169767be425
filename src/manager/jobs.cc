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
/// Between two attempts at cgroups that are busy.
constexpr uint64_t kTidyAgainUsec = 2'000'000;

}  // namespace

// Releases exclude each other anyway: one after the other, or they only keep workers waiting.
std::deque<Job>::iterator Manager::next_job() {
    bool releasing = std::ranges::any_of(
        pool_.all(), [](const auto& worker) { return worker->job && worker->job->type == MessageType::kRelease; });
    return std::ranges::find_if(
        jobs_, [&](const Job& candidate) { return !releasing || candidate.type != MessageType::kRelease; });
}

Manager::Step Manager::dispatch_job() {
    auto job = next_job();
    if (job == jobs_.end()) return Step::kNothingToDo;
    Worker* worker = pool_.find_idle();
    if (!worker) worker = claim_lingering();
    if (!worker) return Step::kNothingToDo;
    Job next = std::move(*job);
    jobs_.erase(job);
    hand_over(*worker, std::move(next));
    return Step::kDone;
}

void Manager::hand_over(Worker& worker, Job job) {
    Message message;
    message.type = job.type;
    message.writer = job.writer;
    message.namespaces = job.namespaces;
    worker.slot.set_deadline_usec(sys::now_usec() + pool::kJobUsec);
    worker.slot.set_state(WorkerState::kBusy);
    if (auto sent = worker.channel.send(message); !sent)
        log::error("Worker {} takes no job: {}", worker.pid, sent.error().what());
    worker.job = std::move(job);
}

void Manager::on_job_done(Worker& worker, const Message& message) {
    bool is_release = worker.job && worker.job->type == MessageType::kRelease;
    if (is_release) {
        reaper_.done(worker.job->namespaces, message.namespaces);
        for (const auto& identity : worker.job->namespaces)
            if (std::ranges::find(message.namespaces, identity) == message.namespaces.end()) pins_.drop(identity);
    }
    // A release may have left a large or busy cgroup behind, and tidying up may not have come to its end.
    if (is_release) tidy_after(kTidyUsec);
    if (message.type == MessageType::kUntidy) tidy_after(kTidyAgainUsec);
    worker.job.reset();
    set_idle(worker);
}

// Not put off by further releases: on a busy host there is always one more.
void Manager::tidy_after(uint64_t usec) {
    if (!std::exchange(tidying_, true)) tidy_timer_.fire_after(usec);
}

// One registration that no worker survives must not keep others from being released: they are tried one by one. What
// cannot be done is left for later.
void Manager::retry(Job job) {
    log::OnBehalfOf unknown(log::kUnknownUser);
    ++job.attempts;
    if (job.type == MessageType::kRelease && job.namespaces.size() > 1) {
        for (const auto& identity : job.namespaces)
            jobs_.push_back({.type = job.type, .namespaces = {identity}, .attempts = job.attempts});
    } else if (job.attempts < kMaxAttempts) {
        jobs_.push_back(std::move(job));
    } else if (job.type == MessageType::kRelease) {
        log::error("No worker can release user namespace {}", job.namespaces.front().inode);
        reaper_.done(job.namespaces, job.namespaces);
    } else {
        log::error("Giving up a job after {} attempts", job.attempts);
    }
}

void Manager::release(std::vector<NsIdentity> dead) {
    for (size_t i = 0; i < dead.size(); i += pool::kMaxNamespaces) {
        auto begin = dead.begin() + static_cast<std::ptrdiff_t>(i);
        auto end = dead.begin() + static_cast<std::ptrdiff_t>(std::min(i + pool::kMaxNamespaces, dead.size()));
        jobs_.push_back({.type = MessageType::kRelease, .namespaces = {begin, end}});
    }
    dispatch();
}

}  // namespace nsr::manager
