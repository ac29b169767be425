// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "manager/event_loop.h"
#include "namespaces/prober.h"

namespace nsr::manager {

/// Knows every registered namespace, and finds out which of them died. Where the kernel sends no word of a death, it
/// asks for each by its file handle: as often as that costs little, so that a death is seen well within a second.
class Reaper {
public:
    /// `release` is given namespaces that are dead, each once until done() is said of it.
    Reaper(namespaces::Prober prober, std::function<void(std::vector<NsIdentity>)> release);

    Status start(EventLoop& loop);
    void watch(const NsIdentity& identity);
    /// The release has ended; `unfinished` ones are tried again a little later.
    void done(const std::vector<NsIdentity>& released, const std::vector<NsIdentity>& unfinished);
    size_t size() const { return watched_.size(); }

    /// Looks at all of them once, and returns after how many microseconds to do so again.
    uint64_t sweep();

private:
    struct Entry {
        NsIdentity identity;
        bool releasing = false;
        uint64_t not_before_usec = 0;
    };

    void arm();

    namespaces::Prober prober_;
    std::function<void(std::vector<NsIdentity>)> release_;
    std::unordered_map<NsInode, Entry> watched_;
    Source timer_;
    bool armed_ = false;
};

}  // namespace nsr::manager
