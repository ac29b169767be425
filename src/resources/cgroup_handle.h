// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <cstdint>
#include <cstring>

#include "base/types.h"

namespace nsr::resources {

/// The kernel's FILEID_KERNFS (include/linux/exportfs.h): the handle is the 64-bit id and nothing else.
inline constexpr int kCgroupHandleType = 0xfe;

/// The file handle of a cgroup's directory (open_by_handle_at(2)).
class CgroupHandle {
public:
    CgroupHandle() = default;
    explicit CgroupHandle(CgroupId id) {
        get()->handle_bytes = sizeof id.value;
        get()->handle_type = kCgroupHandleType;
        memcpy(bytes_ + sizeof(struct file_handle), &id.value, sizeof id.value);
    }

    struct file_handle* get() { return reinterpret_cast<struct file_handle*>(bytes_); }
    CgroupId id() const {
        CgroupId id;
        memcpy(&id.value, bytes_ + sizeof(struct file_handle), sizeof id.value);
        return id;
    }

private:
    alignas(struct file_handle) unsigned char bytes_[sizeof(struct file_handle) + sizeof(uint64_t)]{};
};

}  // namespace nsr::resources
