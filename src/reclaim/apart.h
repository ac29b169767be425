// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/fd.h"
#include "reclaim/findings.h"

namespace nsr::reclaim {

/// What the process apart says while it works.
class Reporter {
public:
    explicit Reporter(BorrowedFd pipe) : pipe_(pipe) {}
    /// One more inode.
    void tick();
    /// That it is alive, and how many inodes there were.
    void say();
    Status finish(const Findings& findings);

private:
    BorrowedFd pipe_;
    uint64_t inodes_ = 0;
    uint64_t said_usec_ = 0;
};

struct Apart {
    uint64_t inodes = 0;
    Findings findings;
};

/// Does work in a process of its own, which may join other namespaces, and may hang: a file system whose server does
/// not answer holds whoever asks it, killed or not. If nothing is heard from it for `silence_usec`, it is killed and
/// left to itself, and what it should have looked at is a problem. `heard` is called with the number of inodes so far,
/// at least once a second.
Apart run_apart(const std::string& what, uint64_t silence_usec, const std::function<void(Findings&, Reporter&)>& work,
                const std::function<void(uint64_t inodes)>& heard);

}  // namespace nsr::reclaim
