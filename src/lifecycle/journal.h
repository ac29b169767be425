// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "registry/registration.h"
#include "registry/store.h"

namespace nsr::lifecycle {

/// How far a call has come. What becomes of it if its worker dies there is lifecycle/repair.h's.
enum class Step : uint32_t {
    kNone,
    kRecording,    ///< a registration is recorded and entered in the kernel policy; none of its maps is written
    kMapping,      ///< and its maps are being written
    kRegistering,  ///< a namespace that had maps before is recorded
    kAnnouncing,   ///< a registration is complete, but the manager may not know of it yet
    kDelegating,   ///< a cgroup is given to the ids of a registration
    kLinking,      ///< a network link is made for a registration
};

constexpr bool is_of_addition(Step step) { return step == Step::kDelegating || step == Step::kLinking; }
/// A registration that may still be taken back.
constexpr bool is_of_half_registration(Step step) {
    return step == Step::kRecording || step == Step::kMapping || step == Step::kRegistering;
}

/// Where the ranges of a registration come from. kStock: from what is preallocated at the level `quarantine`.
enum class Source : uint32_t { kElsewhere, kStock };

/// Calls that are not finished, in memory that all processes of an instance share: one page for each worker, so that
/// writing down what is begun, and that it is done, needs no system call (doc/decisions/journal.md). The file `journal`
/// in the runtime directory outlives workers and manager: whatever a dead worker has left there is repaired.
///
/// Who keeps a page holds a record lock on it (fcntl(2), F_SETLK), which ends with the process and is not inherited by
/// the processes that a worker forks. A page in use without a lock is a dead worker's.
class Journal {
public:
    /// `<dir>/journal`, made (0600) where it is not there. What it has of pages is allocated before it is mapped: a
    /// write to a full file system would kill the process later. EBADMSG: it is not a file of this version. ENOSPC.
    static Result<Journal> open(BorrowedFd dir);

    Journal(Journal&& other) noexcept;
    Journal& operator=(Journal&&) = delete;
    ~Journal();

    /// The registry that this instance works on (registry::Home), for its processes to agree about.
    registry::Home home() const;
    void set_home(const registry::Home& home);

    /// Takes a page for this process, if it has none yet. ENOSPC: the file system is full. EAGAIN: no page is free.
    Status claim();
    /// This process has begun a change, after claim(). E2BIG: the text is longer than a page.
    Status begin(Step step, const registry::Registration& registration, Source source = Source::kElsewhere);
    void proceed(Step step);
    /// What came from the stock has gone back there, or is about to: it must not do so twice.
    void forget_source();
    void end();
    bool is_in_use() const;

    /// Pages in use, that of this process not among them. No system call.
    struct Item {
        size_t page;
        Step step;
        Source source;
        NsInode userns;
    };
    std::vector<Item> others() const;
    /// Whether the worker that began the call is still at it: not if it is dead, though another process may be
    /// repairing what it left.
    enum class Keeper { kAlive, kDead };
    Keeper keeper(size_t page) const;
    /// What a page in use says; nothing if that is no registration: it was written by another version.
    Result<registry::Registration> read(size_t page) const;

    /// A page in use whose keeper is dead, for as long as this lives: no other process repairs it meanwhile.
    class Adoption {
    public:
        Adoption(Journal& journal, size_t page) : journal_(&journal), page_(page) {}
        Adoption(Adoption&& other) noexcept : journal_(std::exchange(other.journal_, nullptr)), page_(other.page_) {}
        Adoption& operator=(Adoption&&) = delete;
        ~Adoption();
        void forget_source();
        /// All is repaired.
        void end();

    private:
        Journal* journal_;
        size_t page_;
    };
    /// Nothing: its keeper lives, or another process repairs it, or it is not in use any more.
    std::optional<Adoption> adopt(size_t page);

    static constexpr size_t kPages = 255;
    static constexpr size_t kPageSize = 4096;

private:
    struct Entry;
    struct Header;

    Journal(UniqueFd fd, std::span<std::byte> bytes) : fd_(std::move(fd)), bytes_(bytes) {}

    Header& header() const;
    Entry& entry(size_t page) const;
    std::span<char> body(size_t page) const;
    enum class Lock { kOurs, kOfAnother };
    Lock try_lock(size_t page) const;
    void unlock(size_t page) const;

    UniqueFd fd_;
    std::span<std::byte> bytes_;
    size_t own_ = 0;  ///< 0: none
};

}  // namespace nsr::lifecycle
