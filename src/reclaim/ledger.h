// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "ranges/used_set.h"
#include "reclaim/findings.h"
#include "registry/store.h"

namespace nsr::reclaim {

/// Which ranges may be used again if nothing is left of them, while the service goes on handing out others.
class Ledger {
public:
    /// The directories of the service. ENOENT: it has never been at a level that notes used ranges. EAGAIN: it has not
    /// been started in this boot, so that it is not known what was used before.
    static Result<Ledger> open(const std::string& runtime_dir, const std::string& state_dir);

    /// The ranges that were handed out, that no namespace has, and that were last used before this boot, as of the call
    /// of open().
    const std::set<Uid>& candidates() const { return candidates_; }
    /// Those that no namespace has, either, but that were used in this boot: where something of them may be kept cannot
    /// be told, but the next boot ends it.
    const std::set<Uid>& used_in_this_boot() const { return used_in_this_boot_; }
    /// Ranges that namespaces have.
    size_t in_use() const { return in_use_; }

    /// Notes what is handed out meanwhile; to be called often. EOVERFLOW: too much has happened since the last time.
    Status listen();
    /// Waits until all calls that were under way at open() have surely ended: a range that such a call has taken, and
    /// not yet recorded, looks like one that nobody has.
    Status wait_for_calls();
    /// Frees the candidates that were not found, and gives them; those that somebody got meanwhile are left out. Marks
    /// as used what was found and was not known. Nothing is freed where there is a problem among the findings. kNone:
    /// only tells; kMark: frees nothing.
    enum class Change { kNone, kMark, kFree };
    struct Outcome {
        std::vector<Uid> freed, marked;
    };
    Result<Outcome> settle(const Findings& findings, Change change);

private:
    Ledger(UniqueFd events, UniqueFd runtime, registry::Store store, ranges::UsedSet used, uint64_t calls_end_usec)
        : events_(std::move(events)),
          runtime_(std::move(runtime)),
          store_(std::move(store)),
          used_(std::move(used)),
          calls_end_usec_(calls_end_usec) {}

    Status list();
    Result<std::vector<Uid>> unknown(const Findings& findings) const;

    UniqueFd events_;
    UniqueFd runtime_;
    registry::Store store_;
    ranges::UsedSet used_;
    uint64_t calls_end_usec_;
    std::set<Uid> candidates_, used_in_this_boot_, handed_out_;
    size_t in_use_ = 0;
};

}  // namespace nsr::reclaim
