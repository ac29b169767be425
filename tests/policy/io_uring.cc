// SPDX-License-Identifier: LGPL-2.1-or-later
#include "io_uring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace nsr::channels {

namespace {

constexpr unsigned kEntries = 4;

unsigned* field(char* rings, unsigned offset) { return reinterpret_cast<unsigned*>(rings + offset); }

uint64_t address(const std::string& text) { return reinterpret_cast<uint64_t>(text.c_str()); }

}  // namespace

Ring::Ring(unsigned flags) : polled_((flags & IORING_SETUP_SQPOLL) != 0) {
    parameters_.flags = flags;
    parameters_.sq_thread_idle = 2000;
    fd_.reset(static_cast<int>(::syscall(SYS_io_uring_setup, kEntries, &parameters_)));
    code_ = fd_ ? map(parameters_) : errno;
}

Ring::~Ring() {
    if (rings_ != nullptr) ::munmap(rings_, rings_size_);
    if (entries_ != nullptr) ::munmap(entries_, entries_size_);
}

int Ring::map(const io_uring_params& parameters) {
    rings_size_ = std::max<size_t>(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
                                   parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe));
    entries_size_ = parameters.sq_entries * sizeof(io_uring_sqe);
    void* rings = ::mmap(nullptr, rings_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), IORING_OFF_SQ_RING);
    if (rings == MAP_FAILED) return errno;
    rings_ = static_cast<char*>(rings);
    void* entries = ::mmap(nullptr, entries_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), IORING_OFF_SQES);
    if (entries == MAP_FAILED) return errno;
    entries_ = static_cast<io_uring_sqe*>(entries);
    return 0;
}

int Ring::lend_credentials() {
    const long number = ::syscall(SYS_io_uring_register, fd_.get(), IORING_REGISTER_PERSONALITY, nullptr, 0);
    return number < 0 ? -errno : static_cast<int>(number);
}

int Ring::run(const io_uring_sqe& operation) {
    unsigned* tail = field(rings_, parameters_.sq_off.tail);
    const unsigned mask = *field(rings_, parameters_.sq_off.ring_mask);
    const unsigned at = *tail & mask;
    entries_[at] = operation;
    field(rings_, parameters_.sq_off.array)[at] = at;
    std::atomic_ref(*tail).store(*tail + 1, std::memory_order_release);
    const unsigned flags = IORING_ENTER_GETEVENTS | (polled_ ? IORING_ENTER_SQ_WAKEUP : 0U);
    unsigned* head = field(rings_, parameters_.cq_off.head);
    const unsigned* end = field(rings_, parameters_.cq_off.tail);
    bool submitted = false;
    while (*head == std::atomic_ref(*const_cast<unsigned*>(end)).load(std::memory_order_acquire)) {
        const long entered =
            ::syscall(SYS_io_uring_enter, fd_.get(), polled_ || submitted ? 0U : 1U, 1U, flags, nullptr, 0UL);
        if (entered < 0 && errno != EINTR) return -errno;
        submitted = true;
    }
    const auto* results = reinterpret_cast<const io_uring_cqe*>(rings_ + parameters_.cq_off.cqes);
    const int result = results[*head & *field(rings_, parameters_.cq_off.ring_mask)].res;
    std::atomic_ref(*head).store(*head + 1, std::memory_order_release);
    return result;
}

io_uring_sqe open_entry(const std::string& path, unsigned flags) {
    io_uring_sqe entry{};
    entry.opcode = IORING_OP_OPENAT;
    entry.fd = AT_FDCWD;
    entry.addr = address(path);
    entry.open_flags = flags;
    entry.len = 0644;
    return entry;
}

io_uring_sqe path_entry(uint8_t operation, const std::string& path, unsigned mode) {
    io_uring_sqe entry{};
    entry.opcode = operation;
    entry.fd = AT_FDCWD;
    entry.addr = address(path);
    entry.len = mode;
    return entry;
}

io_uring_sqe two_paths_entry(uint8_t operation, const std::string& from, const std::string& to) {
    io_uring_sqe entry{};
    entry.opcode = operation;
    entry.fd = AT_FDCWD;
    entry.addr = address(from);
    entry.addr2 = address(to);
    // The second directory; symlinkat(2) has one only, the first field.
    if (operation != IORING_OP_SYMLINKAT) entry.len = static_cast<unsigned>(AT_FDCWD);
    return entry;
}

}  // namespace nsr::channels
