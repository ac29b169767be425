// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <cstdint>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::pool {

/// What a worker is doing, as the manager sees it without asking.
enum class WorkerState : uint32_t {
    kIdle,       ///< waits for the next message of the manager
    kGiven,      ///< was sent a connection, and has not looked at it yet
    kReading,    ///< has a connection, and takes in what is there, or lets go of what it took in; no call is under way
    kBusy,       ///< is at a call or a job
    kLingering,  ///< has answered, and waits a moment for the next request on the same connection
};

/// For a worker to take in what is there, to refuse it, and to let go of its descriptors, in microseconds.
inline constexpr uint64_t kReadingUsec = 5'000'000;
/// For a release, repair or refill.
inline constexpr uint64_t kJobUsec = 60'000'000;

/// A page of memory shared by the manager and one worker. It saves a message for each request: a worker that keeps a
/// connection for its next request says so here.
class Slot {
public:
    /// For the manager: a new page, in state kIdle, behind a descriptor that the worker inherits.
    static Result<Slot> create();
    /// For the worker.
    static Result<Slot> attach(UniqueFd fd);

    Slot(Slot&& other) noexcept : fd_(std::move(other.fd_)), page_(std::exchange(other.page_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();

    BorrowedFd fd() const { return fd_.borrow(); }

    WorkerState state() const { return page_->state.load(); }
    void set_state(WorkerState state) { page_->state.store(state); }
    /// When the manager will kill the worker, in microseconds of CLOCK_MONOTONIC; 0: it is idle or lingers. The manager
    /// sets it before it hands over anything: from then on until it is idle a worker is never without, since a client's
    /// descriptors can hold it in the kernel even while it only reads or closes.
    uint64_t deadline_usec() const { return page_->deadline_usec.load(); }
    void set_deadline_usec(uint64_t when) { page_->deadline_usec.store(when); }

    /// When the worker began with its latest call, in microseconds of CLOCK_MONOTONIC.
    uint64_t active_usec() const { return page_->active_usec.load(); }
    void set_active_usec(uint64_t when) { page_->active_usec.store(when); }

    /// Connections are waiting, so a worker should not linger, nor go on with what is left in a queue.
    enum class Demand : uint32_t { kNone, kWaiting };
    Demand demand() const { return page_->demand.load(); }
    void set_demand(Demand demand) { page_->demand.store(demand); }

    /// Whether the manager has descriptors left to keep mounts with. Where it has none, it is not even sent one: until
    /// that would be closed again it took a descriptor that clients need.
    enum class Mounts : uint32_t { kWelcome, kRefused };
    Mounts mounts() const { return page_->mounts.load(); }
    void set_mounts(Mounts mounts) { page_->mounts.store(mounts); }

private:
    struct Page {
        std::atomic<WorkerState> state;
        std::atomic<Demand> demand;
        std::atomic<uint64_t> deadline_usec;
        std::atomic<uint64_t> active_usec;
        std::atomic<Mounts> mounts;
    };

    Slot(UniqueFd fd, Page* page) : fd_(std::move(fd)), page_(page) {}
    static Result<Slot> map(UniqueFd fd);

    UniqueFd fd_;
    Page* page_;
};

}  // namespace nsr::pool
