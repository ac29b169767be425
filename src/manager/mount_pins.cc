// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/mount_pins.h"

#include <systemd/sd-daemon.h>
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/log.h"
#include "base/sys.h"
#include "resources/mount.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxPinsPerNamespace = 64;
constexpr size_t kMaxPins = 4096;

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

void drop_from_store(NsInode userns) {
    std::string text = fmt::format("FDSTOREREMOVE=1\nFDNAME={}{}", MountPins::kStorePrefix, userns);
    int result = sd_notify(0, text.c_str());
    if (result < 0) log::warning("Cannot tell the service manager: {}", errno_name(-result));
}

}  // namespace

void MountPins::keep(NsInode userns, UniqueFd mount) {
    auto& pins = pins_[userns];
    if (std::ranges::any_of(pins, [&](const UniqueFd& pin) { return is_same_directory(pin, mount); })) return;
    if (pins.size() >= kMaxPinsPerNamespace || count_ >= kMaxPins)
        return log::warning("User namespace {} has too many mounts: one more is not kept", userns);
    std::string text = fmt::format("FDSTORE=1\nFDNAME={}{}", kStorePrefix, userns);
    int fd = mount.get();
    int result = sd_pid_notify_with_fds(0, 0, text.c_str(), &fd, 1);
    if (result < 0) log::debug("The service manager does not store a mount: {}", errno_name(-result));
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
