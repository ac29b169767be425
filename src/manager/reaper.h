// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "manager/event_loop.h"
#include "namespaces/prober.h"

namespace nsr::manager {

/// A registered namespace, and the owner of its registration.
struct Watched {
    NsIdentity identity;
    Uid owner;
};

/// Knows every registered namespace, and finds out which of them died. Where the kernel sends no word of a death, it
/// asks about each: as often as that costs little, so that a death is seen well within a second. Where it does, it
/// still asks now and then: a word can get lost.
class Reaper {
public:
    enum class Word { kNone, kOfEachDeath };
    /// How this kernel can be asked.
    struct Senses {
        std::function<namespaces::Life(const NsIdentity&)> life;  ///< empty: in no way
        Word word = Word::kNone;
        /// Whether the answers can be believed at this moment; empty: always.
        std::function<Status()> verify = nullptr;
    };
    /// Whom it tells.
    struct Events {
        /// These are dead; each is named once until done() is said of it.
        std::function<void(std::vector<Watched>)> release;
        /// This one is not registered any more: its release has ended, or another namespace has its inode number by
        /// now, which a worker can have registered only after it released this one.
        std::function<void(const NsIdentity&)> over;
    };
    Reaper(Senses senses, Events events);

    Status start(EventLoop& loop);
    /// Whether an announcement is the first one of a registration. Where namespaces have no ids, nothing else tells a
    /// repeated one from that of the next namespace with the inode number.
    enum class News { kNew, kRepeated };
    void watch(const Watched& watched, News news = News::kNew);
    /// The kernel's word of a death, to be checked.
    void hear(const std::vector<NsInode>& namespaces);
    /// The release of these has ended; `unfinished` ones are tried again a little later.
    void done(const std::vector<NsIdentity>& released, const std::vector<NsIdentity>& unfinished);
    size_t size() const { return watched_.size(); }

    /// Looks at all of them once, and returns after how many microseconds to do so again.
    uint64_t sweep();

private:
    struct Entry {
        Watched watched;
        bool releasing = false;
        uint64_t not_before_usec = 0;
    };

    void arm();

    void replace(const NsIdentity& former, const Watched& next, News news);
    bool may_be_dead(const NsIdentity& identity) const;
    bool is_news(const Entry& entry, uint64_t now_usec) const;
    std::vector<Watched> find_dead(uint64_t now_usec) const;
    bool can_tell();

    Senses senses_;
    Events events_;
    std::unordered_map<NsInode, Entry> watched_;  ///< one number has one registration
    Source timer_;
    bool armed_ = false;
    bool could_tell_ = true;
};

}  // namespace nsr::manager
