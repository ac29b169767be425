// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/transaction.h"

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "lifecycle/removal.h"

namespace nsr::lifecycle {

namespace {

using registry::Registration;

// The other call is a live worker's, or a dead one's that is not repaired yet: its repair could not tell what that call
// did from what this one does.
Status require_no_other(const Instance& instance, NsInode userns, bool (*conflicts)(Step)) {
    for (const auto& other : instance.journal.others())
        if (other.userns == userns && conflicts(other.step))
            return fail(EBUSY, "another call for user namespace {} is not finished", userns);
    return {};
}

bool is_any(Step) { return true; }

template <class Item>
void append_new(std::vector<Item>& list, const std::vector<Item>& items) {
    for (const auto& item : items)
        if (std::ranges::find(list, item) == list.end()) list.push_back(item);
}

template <class Item>
bool contains_all(const std::vector<Item>& list, const std::vector<Item>& items) {
    return std::ranges::all_of(items, [&](const Item& item) { return std::ranges::find(list, item) != list.end(); });
}

}  // namespace

Registration without_resources(Registration registration) {
    registration.cgroups.clear();
    registration.network_interfaces.clear();
    registration.unknown_fields.clear();
    return registration;
}

bool lists(const Registration& registration, const Registration& added) {
    return contains_all(registration.cgroups, added.cgroups) &&
           contains_all(registration.network_interfaces, added.network_interfaces);
}

// Two calls may add different things at the same time, but not the same one.
bool is_begun_elsewhere(const Instance& instance, const Registration& added) {
    return std::ranges::any_of(instance.journal.others(), [&](const Journal::Item& other) {
        if (other.userns != added.userns.inode || !is_of_addition(other.step)) return false;
        auto begun = instance.journal.read(other.page);
        return !begun || lists(*begun, added);  // it may just have ended
    });
}

Result<std::optional<Registration>> find_same(const Instance& instance, const Registration& registration) {
    auto found = TRY(instance.store.find_by_inode(registration.userns.inode));
    bool same = found && found->userns == registration.userns && found->name == registration.name;
    if (!same) return std::optional<Registration>();
    return found;
}

Status record_addition(Instance& instance, const registry::Lock& lock, const Registration& added) {
    auto current = TRY(find_same(instance, added));
    if (!current) return fail(ENOENT, "the registration {} is gone", added.name);
    append_new(current->cgroups, added.cgroups);
    append_new(current->network_interfaces, added.network_interfaces);
    return instance.store.update(lock, *current);
}

Result<Transaction> Transaction::begin_registration(Instance& instance, const registry::Lock& lock, Step step,
                                                    Registration registration, Origin origin, Source source) {
    TRY(require_no_other(instance, registration.userns.inode, is_any));
    // What is taken back later must not be an earlier registration of the same namespace.
    if (TRY(instance.store.entry_taken(registration.userns.inode)) == registry::Taken::kTaken)
        return fail(EEXIST, "the user namespace is registered");
    TRY(instance.journal.begin(step, registration, source));
    Status entered = enter_registry(instance, lock, registration, origin);
    if (!entered && entered.error().code() == ENOTRECOVERABLE) end_process(entered.error());
    if (!entered) {
        instance.journal.end();
        return Failure(std::move(entered).error());
    }
    return Transaction(instance, step, source, std::move(registration));
}

Result<Transaction> Transaction::begin_addition(Instance& instance, const registry::Lock&, Step step,
                                                Registration added) {
    TRY(require_no_other(instance, added.userns.inode, is_of_half_registration));
    if (is_begun_elsewhere(instance, added)) return fail(EBUSY, "another call for {} is not finished", added.name);
    TRY(instance.journal.begin(step, added));
    return Transaction(instance, step, Source::kElsewhere, std::move(added));
}

void Transaction::begin_mapping() {
    step_ = Step::kMapping;
    instance_->journal.proceed(step_);
}

// The entry of the record counts. If one of its other names could not be written anew, the change is whole all the
// same, and the journal keeps it until another worker has seen to that.
Status Transaction::commit_addition() {
    auto lock = TRY(instance_->store.lock());
    Status recorded = record_addition(*instance_, lock, registration_);
    if (recorded) {
        instance_->journal.end();
        return {};
    }
    auto current = find_same(*instance_, registration_);
    if (!current) end_process(current.error());
    if (!*current || !lists(**current, registration_)) return recorded;
    log::warning("A record is to be completed: {}", recorded.error().what());
    return {};
}

// Where the manager cannot be told, the journal keeps the announcement for another worker.
Status Transaction::commit() {
    if (is_of_addition(step_)) {
        TRY(commit_addition());
        instance_ = nullptr;
        return {};
    }
    Instance& instance = *std::exchange(instance_, nullptr);
    instance.journal.proceed(Step::kAnnouncing);
    Status announced = instance.announce(registration_.userns, registration_.owner);
    if (announced) instance.journal.end();
    if (!announced) log::warning("The manager is told later of {}: {}", registration_.name, announced.error().what());
    return {};
}

Status Transaction::rollback() {
    Instance& instance = *std::exchange(instance_, nullptr);
    if (is_of_addition(step_)) {
        if (undo_) TRY(undo_());
    } else {
        TRY(remove_unused(instance, registration_, source_, [&] { instance.journal.forget_source(); }));
    }
    instance.journal.end();
    return {};
}

Transaction::~Transaction() {
    if (!instance_) return;
    if (auto undone = rollback(); !undone) end_process(undone.error());
}

void end_process(const Error& error) {
    log::error("This process ends, and another one repairs what it left: {}", error.what());
    std::_Exit(EXIT_FAILURE);
}

}  // namespace nsr::lifecycle
