// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/addition.h"

#include <algorithm>

#include "service/request.h"

namespace nsr::service {

using lifecycle::Journal;
using lifecycle::Step;

namespace {

OrFault<std::optional<lifecycle::Transaction>> begin(Context& context, Step step, const registry::Registration& added,
                                                     const AdditionJudge& judge) {
    auto lock = TRY_SYSTEM(context.store.lock());
    auto others = context.journal.others();
    std::erase_if(others, [&](const Journal::Item& other) { return other.userns != added.userns.inode; });
    // A call that is not finished may still fail, and would not take back what was added to it.
    bool is_unfinished = std::ranges::any_of(others, lifecycle::is_of_half_registration, &Journal::Item::step);
    auto current = TRY_SYSTEM(lifecycle::find_same(context, added));
    if (!current || is_unfinished) return refuse("UserNamespaceNotRegistered");
    if (lifecycle::is_begun_elsewhere(context, added)) return std::nullopt;
    TRY(judge(*current, static_cast<size_t>(std::ranges::count(others, step, &Journal::Item::step))));
    auto begun = lifecycle::Transaction::begin_addition(context, lock, step, added);
    if (!begun && begun.error().code() == EBUSY) return std::nullopt;
    return TRY_SYSTEM(std::move(begun));
}

}  // namespace

OrFault<lifecycle::Transaction> begin_addition(Context& context, Step step, const registry::Registration& added,
                                               const AdditionJudge& judge) {
    return begin_settled(context, added.userns.inode, [&] { return begin(context, step, added, judge); });
}

}  // namespace nsr::service
