// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/reaper.h"

#include <algorithm>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kShortestUsec = 200'000;
constexpr uint64_t kLongestUsec = 5'000'000;
/// A sweep may take one part in so many of the time.
constexpr uint64_t kShare = 25;
constexpr uint64_t kRetryUsec = 1'000'000;
/// Where the kernel sends word.
constexpr uint64_t kCheckUsec = 5'000'000;

}  // namespace

Reaper::Reaper(Senses senses, Events events) : senses_(std::move(senses)), events_(std::move(events)) {}

Status Reaper::start(EventLoop& loop) {
    if (!senses_.life) return {};
    timer_ = TRY(loop.make_timer([this] {
        armed_ = false;
        uint64_t pause = sweep();
        if (watched_.empty()) return;
        armed_ = true;
        timer_.fire_after(pause);
    }));
    arm();
    return {};
}

void Reaper::arm() {
    if (armed_ || !timer_ || watched_.empty()) return;
    armed_ = true;
    timer_.fire_after(senses_.word == Word::kNone ? kShortestUsec : kCheckUsec);
}

void Reaper::watch(const Watched& watched, News news) {
    NsInode inode = watched.identity.inode;
    auto found = watched_.find(inode);
    if (found == watched_.end()) {
        watched_[inode] = Entry{watched, false, 0};
    } else {
        replace(NsIdentity(found->second.watched.identity), watched, news);
    }
    // It may have died before its announcement came.
    bool is_dead = senses_.word == Word::kOfEachDeath && senses_.life(watched.identity) == namespaces::Life::kDead;
    if (is_dead) hear({inode});
    arm();
}

// The kernel gives the inode number of a dead namespace to the next one: a worker has released the former by itself, or
// set its record aside under another number, before it registered the next.
void Reaper::replace(const NsIdentity& former, const Watched& next, News news) {
    bool is_same = former == next.identity && (former.id != NsId() || news == News::kRepeated);
    if (is_same) return;
    watched_[next.identity.inode] = Entry{next, false, 0};
    events_.over(former);
}

// Where each registered namespace has a mark, one without was released meanwhile, but for its end here. Should that be
// wrong, the worker finds out: it asks again.
bool Reaper::may_be_dead(const NsIdentity& identity) const {
    auto life = senses_.life(identity);
    return life == namespaces::Life::kDead ||
           (life == namespaces::Life::kUnknown && senses_.word == Word::kOfEachDeath);
}

bool Reaper::is_news(const Entry& entry, uint64_t now_usec) const {
    return !entry.releasing && entry.not_before_usec <= now_usec && may_be_dead(entry.watched.identity);
}

void Reaper::hear(const std::vector<NsInode>& namespaces) {
    std::vector<Watched> dead;
    for (NsInode inode : namespaces) {
        auto found = watched_.find(inode);
        if (found == watched_.end() || !is_news(found->second, sys::now_usec())) continue;
        found->second.releasing = true;
        dead.push_back(found->second.watched);
    }
    if (!dead.empty()) events_.release(std::move(dead));
}

// An error that lasts is logged once.
bool Reaper::can_tell() {
    if (!senses_.verify) return true;
    Status verified = senses_.verify();
    if (!verified && could_tell_)
        log::warning("The kernel cannot tell at present which user namespaces are dead, so none is released: {}",
                     verified.error().what());
    if (verified && !could_tell_) log::notice("The kernel can tell again which user namespaces are dead");
    could_tell_ = verified.has_value();
    return could_tell_;
}

std::vector<Watched> Reaper::find_dead(uint64_t now_usec) const {
    std::vector<Watched> dead;
    for (const auto& [inode, entry] : watched_)
        if (is_news(entry, now_usec)) dead.push_back(entry.watched);
    return dead;
}

// What lies between two questions whose answers are known counts, and nothing else.
uint64_t Reaper::sweep() {
    uint64_t begin = sys::now_usec();
    if (can_tell()) {
        auto dead = find_dead(begin);
        if (can_tell() && !dead.empty()) {
            for (const auto& one : dead) watched_.at(one.identity.inode).releasing = true;
            events_.release(std::move(dead));
        }
    }
    if (senses_.word == Word::kOfEachDeath) return kCheckUsec;
    return std::clamp((sys::now_usec() - begin) * kShare, kShortestUsec, kLongestUsec);
}

void Reaper::done(const std::vector<NsIdentity>& released, const std::vector<NsIdentity>& unfinished) {
    for (const auto& identity : released) {
        auto found = watched_.find(identity.inode);
        if (found == watched_.end() || found->second.watched.identity != identity) continue;
        // Where namespaces have no ids, this may be the next one with the inode number, registered as soon as it was
        // released.
        if (!found->second.releasing) continue;
        if (std::ranges::find(unfinished, identity) == unfinished.end()) {
            watched_.erase(found);
            events_.over(identity);
        } else {
            found->second.releasing = false;
            found->second.not_before_usec = sys::now_usec() + kRetryUsec;
        }
    }
}

}  // namespace nsr::manager
