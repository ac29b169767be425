// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/mman.h>
#include <cstddef>
#include <cstdint>

namespace nsr::channels {

/// Memory that a 32-bit pointer reaches.
class LowMemory {
public:
#ifdef MAP_32BIT
    explicit LowMemory(size_t size)
        : size_(size),
          data_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)) {}
#else
    explicit LowMemory(size_t size) : size_(size), data_(MAP_FAILED) {}
#endif
    ~LowMemory() {
        if (data_ != MAP_FAILED) ::munmap(data_, size_);
    }
    LowMemory(const LowMemory&) = delete;
    LowMemory& operator=(const LowMemory&) = delete;

    void* data() const { return data_ == MAP_FAILED ? nullptr : data_; }
    long address() const { return static_cast<long>(reinterpret_cast<uintptr_t>(data_)); }

private:
    size_t size_;
    void* data_;
};

/// A system call by its 32-bit number, as old programs make it; -errno. -ENOSYS (38) where there is no such thing.
inline long compat_call(long number, long first, long second, long third) {
#ifdef __x86_64__
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
    return static_cast<int32_t>(result);
#else
    return -38 + 0 * (number + first + second + third);
#endif
}

}  // namespace nsr::channels
