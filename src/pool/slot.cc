// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/slot.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/allocate.h"

namespace nsr::pool {

Result<Slot> Slot::map(UniqueFd fd) {
    void* page = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    int code = errno;
    if (page == MAP_FAILED) return fail_errno(code, "map the shared page");
    // A page of zeros is a Page in its first state: all members are lock-free atomics.
    static_assert(std::atomic<uint64_t>::is_always_lock_free && static_cast<uint32_t>(WorkerState::kIdle) == 0);
    return Slot(std::move(fd), static_cast<Page*>(page));
}

Result<Slot> Slot::create() {
    UniqueFd fd(memfd_create("nsresource-worker", MFD_CLOEXEC));
    int code = errno;
    if (!fd) return fail_errno(code, "memfd_create");
    TRY(sys::allocate(fd.borrow(), sizeof(Page), "page of a worker"));
    return map(std::move(fd));
}

Result<Slot> Slot::attach(UniqueFd fd) { return map(std::move(fd)); }

Slot::~Slot() {
    if (page_) munmap(page_, sizeof(Page));
}

}  // namespace nsr::pool
