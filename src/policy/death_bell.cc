// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/death_bell.h"

#include <bpf/libbpf.h>

#include "policy/bpf_call.h"
#include "policy/layout.h"

namespace nsr::policy {

struct DeathBell::Ring {
    ring_buffer* buffer = nullptr;
    std::vector<NsInode> namespaces;

    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() { ring_buffer__free(buffer); }

    static int take(void* ring, void* data, size_t size) {
        if (size >= sizeof(nsr_death))
            static_cast<Ring*>(ring)->namespaces.emplace_back(static_cast<const nsr_death*>(data)->userns);
        return 0;
    }
};

DeathBell::DeathBell(std::unique_ptr<Ring> ring, BorrowedFd lost) : ring_(std::move(ring)), lost_(lost) {}
DeathBell::DeathBell(DeathBell&&) noexcept = default;
DeathBell::~DeathBell() = default;

Result<DeathBell> DeathBell::create(BorrowedFd deaths, BorrowedFd lost) {
    auto ring = std::make_unique<Ring>();
    ring->buffer = ring_buffer__new(deaths.get(), &Ring::take, ring.get(), nullptr);
    int code = errno;
    if (!ring->buffer) return fail_errno(code, "ring buffer of dead namespaces");
    return DeathBell(std::move(ring), lost);
}

BorrowedFd DeathBell::fd() const { return BorrowedFd(ring_buffer__epoll_fd(ring_->buffer)); }

DeathBell::Toll DeathBell::read() {
    ring_buffer__consume(ring_->buffer);
    Toll toll{std::exchange(ring_->namespaces, {}), false};
    uint32_t zero = 0;
    uint64_t count = lost_count_;
    auto found = map_lookup(lost_, &zero, &count);
    toll.some_are_missing = !found || count != lost_count_;
    lost_count_ = count;
    return toll;
}

}  // namespace nsr::policy
