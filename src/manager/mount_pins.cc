// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/mount_pins.h"

#include <fcntl.h>
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/log.h"
#include "base/shortage.h"
#include "base/sys.h"
#include "manager/notify.h"
#include "resources/mount.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxPinsPerNamespace = 64;
/// That wait for the service manager to listen.
constexpr size_t kMaxNotes = 8192;

// In the same mount, too: another mount of the directory has to be kept by a descriptor of its own.
bool is_same_directory(const UniqueFd& a, const UniqueFd& b) {
    struct statx one{}, other{};
    constexpr unsigned kWanted = STATX_INO | STATX_MNT_ID;
    if (statx(a.get(), "", AT_EMPTY_PATH, kWanted, &one) < 0 || statx(b.get(), "", AT_EMPTY_PATH, kWanted, &other) < 0)
        return false;
    return one.stx_mnt_id == other.stx_mnt_id && one.stx_ino == other.stx_ino &&
           one.stx_dev_major == other.stx_dev_major && one.stx_dev_minor == other.stx_dev_minor;
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
    ++copy_count_;
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
        Note& note = notes_.front();
        Status sent = note.fd ? notify_with_fd(note.text, note.fd.borrow()) : notify(note.text, 0);
        if (!sent && is_shortage(sent.error().code()) && notes_.size() <= kMaxNotes) return;
        if (!sent) log::warning("Cannot tell the service manager of a mount: {}", sent.error().what());
        if (!note.fd) continue;
        --copy_count_;
        close_(std::move(note.fd));
    }
}

std::vector<UniqueFd>& MountPins::pins_of(const NsIdentity& userns) {
    // An inode number that has a new namespace behind it: the release of the old one is not heard of yet.
    auto found = pins_.find(userns.inode);
    if (found != pins_.end() && found->second.userns != userns) drop(NsIdentity(found->second.userns));
    Entry& entry = pins_[userns.inode];
    entry.userns = userns;
    return entry.pins;
}

void MountPins::keep(const NsIdentity& userns, UniqueFd mount) {
    auto& pins = pins_of(userns);
    if (std::ranges::any_of(pins, [&](const UniqueFd& pin) { return is_same_directory(pin, mount); }))
        return close_(std::move(mount));
    if (pins.size() >= kMaxPinsPerNamespace || is_full()) {
        log::warning("User namespace {} has too many mounts: one more is not kept", userns.inode);
        return close_(std::move(mount));
    }
    store(userns.inode, mount.borrow());
    pins.push_back(std::move(mount));
    ++pin_count_;
}

void MountPins::take_back(std::vector<std::pair<NsInode, UniqueFd>> stored, const std::vector<NsIdentity>& living) {
    std::unordered_map<NsInode, NsIdentity> alive;
    for (const auto& identity : living) alive.emplace(identity.inode, identity);
    std::unordered_set<NsInode> spoiled;
    std::vector<std::pair<NsIdentity, UniqueFd>> fit;
    for (auto& [inode, fd] : stored) {
        auto userns = alive.find(inode);
        auto pin = userns != alive.end() ? make_pin(std::move(fd)) : std::nullopt;
        if (pin)
            fit.emplace_back(userns->second, std::move(*pin));
        else
            spoiled.insert(inode);
        close_(std::move(fd));
    }
    for (NsInode userns : spoiled) drop_from_store(userns);
    for (auto& [userns, pin] : fit) {
        // A name is dropped with all that it stands for, so the good ones under it have to be stored again.
        auto& pins = pins_of(userns);
        if (spoiled.contains(userns.inode)) {
            keep(userns, std::move(pin));
        } else if (count() < max_descriptors_) {
            pins.push_back(std::move(pin));
            ++pin_count_;
        } else {
            close_(std::move(pin));
        }
    }
}

void MountPins::drop(const NsIdentity& userns) {
    auto found = pins_.find(userns.inode);
    if (found == pins_.end() || found->second.userns != userns) return;
    pin_count_ -= found->second.pins.size();
    for (auto& pin : found->second.pins) close_(std::move(pin));
    pins_.erase(found);
    drop_from_store(userns.inode);
}

void MountPins::let_go() {
    for (auto& [inode, entry] : pins_)
        for (auto& pin : entry.pins) close_(std::move(pin));
    pins_.clear();
    pin_count_ = copy_count_ = 0;
    for (auto& note : notes_) close_(std::move(note.fd));
    notes_.clear();
}

}  // namespace nsr::manager
