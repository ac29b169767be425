// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/types.h"

namespace nsr::manager {

/// Descriptors that keep mounts for as long as a namespace is registered. The service manager gets a copy of each
/// (sd_notify(3), FDSTORE=1), so that they outlast a restart.
class MountPins {
public:
    /// Prefix of the name that a descriptor has in the service manager's store, before the inode of the namespace.
    static constexpr std::string_view kStorePrefix = "userns-";

    /// `close` gets what is not kept any more: to let the last one of a mount go may unmount it, which can take long.
    /// No more than `max_descriptors` are open at any time, the copies included that the service manager has not taken.
    MountPins(size_t max_descriptors, std::function<void(UniqueFd)> close)
        : max_descriptors_(max_descriptors), close_(std::move(close)) {}

    /// Keeps it; one for a directory that is kept already is closed, and so are those above a bound.
    void keep(const NsIdentity& userns, UniqueFd mount);
    bool is_full() const { return count() + 2 > max_descriptors_; }
    /// What comes from the store at start: kept if its namespace is among the `living`, else dropped, and so is what is
    /// not fit to be kept. Beyond the bound the service manager's own copy keeps the mount.
    void take_back(std::vector<std::pair<NsInode, UniqueFd>> stored, const std::vector<NsIdentity>& living);
    /// Lets all go of a namespace that is no longer registered.
    void drop(const NsIdentity& userns);
    /// At the end: lets all go, of which the service manager has copies.
    void let_go();
    /// Tells the service manager what it had no time for so far.
    void flush();

private:
    struct Entry {
        NsIdentity userns;
        std::vector<UniqueFd> pins;
    };
    struct Note {
        std::string text;
        UniqueFd fd;
    };

    size_t count() const { return pin_count_ + copy_count_; }
    std::vector<UniqueFd>& pins_of(const NsIdentity& userns);
    void store(NsInode userns, BorrowedFd mount);
    void drop_from_store(NsInode userns);

    size_t max_descriptors_;
    std::function<void(UniqueFd)> close_;
    std::deque<Note> notes_;
    std::unordered_map<NsInode, Entry> pins_;
    size_t pin_count_ = 0, copy_count_ = 0;
};

}  // namespace nsr::manager
