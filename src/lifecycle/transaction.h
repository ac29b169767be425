// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <utility>

#include "lifecycle/accounts.h"
#include "lifecycle/instance.h"

namespace nsr::lifecycle {

/// A change of the registry: whole once commit() has succeeded, and else as if it had never been begun, whatever fails
/// and wherever the process is killed: the journal says what to take back (lifecycle/repair.h). The order is journal,
/// record, kernel policy, maps for a registration, and journal, resource, record for what is added to one.
class [[nodiscard]] Transaction {
public:
    /// Records a registration. EEXIST: the namespace, its name or a range has a record already. EBUSY: another call for
    /// the namespace is not finished: settle(), and try again. ENOSPC, EAGAIN: there is no room.
    static Result<Transaction> begin_registration(Instance& instance, const registry::Lock& lock, Step step,
                                                  registry::Registration registration, Origin origin,
                                                  Source source = Source::kElsewhere);
    /// Notes what will be added to a registration: kDelegating or kLinking. `added` is the registration as it was found
    /// with the lock held, with only what is new in its lists. EBUSY as above.
    static Result<Transaction> begin_addition(Instance& instance, const registry::Lock& lock, Step step,
                                              registry::Registration added);

    Transaction(Transaction&& other) noexcept
        : instance_(std::exchange(other.instance_, nullptr)),
          step_(other.step_),
          source_(other.source_),
          registration_(std::move(other.registration_)),
          undo_(std::move(other.undo_)) {}
    Transaction& operator=(Transaction&&) = delete;
    /// Takes back what was not committed. Not with the registry lock held.
    ~Transaction();

    /// From now on maps may be written.
    void begin_mapping();
    /// How to take back what was made for an addition.
    void undo_with(std::function<Status()> undo) { undo_ = std::move(undo); }

    /// The change is whole. An error means that it is not, and that rollback() follows.
    Status commit();
    /// Takes it back. Where that fails, the process has to end: the manager has another one repair it.
    Status rollback();

private:
    Transaction(Instance& instance, Step step, Source source, registry::Registration registration)
        : instance_(&instance), step_(step), source_(source), registration_(std::move(registration)) {}

    Status commit_addition();

    Instance* instance_;  ///< null once it has ended
    Step step_;
    Source source_;
    registry::Registration registration_;
    std::function<Status()> undo_;
};

/// A registration with nothing in its lists.
registry::Registration without_resources(registry::Registration registration);
/// The record of the same namespace, if there is one.
Result<std::optional<registry::Registration>> find_same(const Instance& instance,
                                                        const registry::Registration& registration);
/// Writes what an addition lists into the record. ENOENT: the registration is gone.
Status record_addition(Instance& instance, const registry::Lock& lock, const registry::Registration& added);
/// Whether another call is just adding the same, or was cut short at that.
bool is_begun_elsewhere(const Instance& instance, const registry::Registration& added);
/// Whether the record lists all of it.
bool lists(const registry::Registration& registration, const registry::Registration& added);

/// For a change that failed and cannot be taken back by this process: it ends, and the manager has it repaired.
[[noreturn]] void end_process(const Error& error);

}  // namespace nsr::lifecycle
