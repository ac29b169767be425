// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/mount_pins.h"

#include <fcntl.h>
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/log.h"
#include "base/sys.h"
#include "manager/notify.h"
#include "resources/mount.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxPinsPerNamespace = 64;
constexpr size_t kMaxPins = 4096;
/// That wait for the service manager to listen.
constexpr size_t kMaxNotes = 2 * kMaxPins;

bool is_same_directory(const UniqueFd& a, const UniqueFd& b) {
    auto one = sys::stat_fd(a.borrow()), other = sys::stat_fd(b.borrow());
    return one && other && one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

// systemd-nsresourced stores user namespaces under the same names: one of those would never die.
std::optional<UniqueFd> make_pin(UniqueFd stored) {
    auto mount = resources::Mount::from_descriptor(std::move(stored));
    if (!mount) return std::nullopt;
    auto pin = mount->pin();
    return pin ? std::move(*pin) : std::nullopt;
}

}  // namespace

void MountPins::store(NsInode userns, BorrowedFd mount) {
    UniqueFd copy(fcntl(mount.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return log::warning("Mount of user namespace {} is not stored: {}", userns, errno_name(errno));
    notes_.push_back({fmt::format("FDSTORE=1\nFDNAME={}{}", kStorePrefix, userns), std::move(copy)});
    flush();
}

void MountPins::drop_from_store(NsInode userns) {
    notes_.push_back({fmt::format("FDSTOREREMOVE=1\nFDNAME={}{}", kStorePrefix, userns), UniqueFd()});
    flush();
}

// In their order: a mount that is stored after its name was dropped would stay for ever.
void MountPins::flush() {
    for (; !notes_.empty(); notes_.pop_front()) {
        const Note& note = notes_.front();
        Status sent = note.fd ? notify_with_fd(note.text, note.fd.borrow()) : notify(note.text, 0);
        if (sent) continue;
        if (sent.error().code() == EAGAIN && notes_.size() <= kMaxNotes) return;
        log::warning("Cannot tell the service manager of a mount: {}", sent.error().what());
    }
}

void MountPins::keep(NsInode userns, UniqueFd mount) {
    auto& pins = pins_[userns];
    if (std::ranges::any_of(pins, [&](const UniqueFd& pin) { return is_same_directory(pin, mount); })) return;
    if (pins.size() >= kMaxPinsPerNamespace || count_ >= kMaxPins)
        return log::warning("User namespace {} has too many mounts: one more is not kept", userns);
    store(userns, mount.borrow());
    pins.push_back(std::move(mount));
    ++count_;
}

void MountPins::take_back(std::vector<std::pair<NsInode, UniqueFd>> stored, const std::vector<NsIdentity>& living) {
    std::unordered_set<NsInode> alive, spoiled;
    for (const auto& identity : living) alive.insert(identity.inode);
    std::vector<std::pair<NsInode, UniqueFd>> fit;
    for (auto& [userns, fd] : stored) {
        auto pin = alive.contains(userns) ? make_pin(std::move(fd)) : std::nullopt;
        if (pin)
            fit.emplace_back(userns, std::move(*pin));
        else
            spoiled.insert(userns);
    }
    for (NsInode userns : spoiled) drop_from_store(userns);
    for (auto& [userns, pin] : fit) {
        // A name is dropped with all that it stands for, so the good ones under it have to be stored again.
        if (spoiled.contains(userns)) {
            keep(userns, std::move(pin));
        } else {
            pins_[userns].push_back(std::move(pin));
            ++count_;
        }
    }
}

void MountPins::drop(NsInode userns) {
    auto found = pins_.find(userns);
    if (found == pins_.end()) return;
    count_ -= found->second.size();
    pins_.erase(found);
    drop_from_store(userns);
}

}  // namespace nsr::manager
