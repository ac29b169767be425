// SPDX-License-Identifier: LGPL-2.1-or-later
#include "swarm.h"

#include <sys/epoll.h>
#include <array>

#include "raw_client.h"

namespace nsr::bench {

namespace {

constexpr size_t kEvents = 256;

}  // namespace

Swarm::Swarm(const Target& target, size_t connections, uint32_t ids, Actions actions)
    : target_(target), ids_(ids), actions_(std::move(actions)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    target.attacker.join();
    connections_.resize(connections);
    for (size_t place = 0; place < connections; ++place) open(place);
    report_ready(target);
}

void Swarm::open(size_t place) {
    connections_[place].reset();
    act_as(static_cast<uint32_t>(target_.number) * ids_ + next_id_++ % ids_);
    UniqueFd& fd = connections_[place] = connect_somehow(target_.socket);
    struct epoll_event event{};
    event.events = EPOLLRDHUP;
    if (actions_.on_readable) event.events |= EPOLLIN;
    if (actions_.on_writable) event.events |= EPOLLOUT;
    event.data.u64 = place;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
    if (actions_.on_open) actions_.on_open(fd.borrow());
}

void Swarm::run() {
    for (;;) {
        std::array<struct epoll_event, kEvents> events;
        int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
        for (size_t i = 0; count > 0 && i < static_cast<size_t>(count); ++i) {
            size_t place = events[i].data.u64;
            uint32_t what = events[i].events;
            if ((what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
                open(place);
                continue;
            }
            if ((what & EPOLLIN) != 0) actions_.on_readable(connections_[place].borrow());
            if ((what & EPOLLOUT) != 0) actions_.on_writable(connections_[place].borrow());
        }
    }
}

}  // namespace nsr::bench
