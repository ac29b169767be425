// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/release_queue.h"

#include "pool/channel.h"

namespace nsr::manager {

void ReleaseQueue::push(Uid user, Item item) {
    auto& waiting = waiting_[user];
    if (waiting.empty()) order_.push_back(user);
    waiting.push_back(item);
}

void ReleaseQueue::add(const NsIdentity& identity, Uid owner) { push(user_of_(owner), {identity, 0}); }

void ReleaseQueue::put_back(const Turn& turn, std::span<const NsIdentity> unfinished) {
    for (const auto& identity : unfinished) push(turn.user, {identity, 0});
}

void ReleaseQueue::retry(const Turn& turn) {
    for (const auto& identity : turn.namespaces) push(turn.user, {identity, turn.attempts + 1});
}

ReleaseQueue::Turn ReleaseQueue::next() {
    Turn turn{.user = order_.front(), .namespaces = {}, .attempts = 0};
    order_.pop_front();
    auto& waiting = waiting_[turn.user];
    do {
        turn.attempts = waiting.front().attempts;
        turn.namespaces.push_back(waiting.front().identity);
        waiting.pop_front();
    } while (turn.attempts == 0 && !waiting.empty() && waiting.front().attempts == 0 &&
             turn.namespaces.size() < pool::kMaxNamespaces);
    if (waiting.empty())
        waiting_.erase(turn.user);
    else
        order_.push_back(turn.user);
    return turn;
}

}  // namespace nsr::manager
