// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

struct ring_buffer;

namespace nsr::policy {

/// Rings when registered namespaces have died. What it says is a hint, to be looked up in Entries.
class DeathBell {
public:
    static Result<DeathBell> create(BorrowedFd deaths, BorrowedFd lost);
    DeathBell(DeathBell&&) noexcept;
    ~DeathBell();

    /// Readable when it rings.
    BorrowedFd fd() const;

    struct Toll {
        std::vector<NsInode> namespaces;
        /// Others died too, and there was no room to say which.
        bool some_are_missing = false;
    };
    /// All that has not been read yet.
    Toll read();

private:
    struct Ring;
    DeathBell(std::unique_ptr<Ring> ring, BorrowedFd lost);

    std::unique_ptr<Ring> ring_;
    BorrowedFd lost_;
    uint64_t lost_count_ = 0;
};

}  // namespace nsr::policy
