// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/mount_pins.h"

#include <systemd/sd-daemon.h>
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

constexpr size_t kMaxPinsPerNamespace = 64;
constexpr size_t kMaxPins = 4096;

bool is_same_directory(const UniqueFd& a, const UniqueFd& b) {
    auto one = sys::stat_fd(a.borrow()), other = sys::stat_fd(b.borrow());
    return one && other && one->st_dev == other->st_dev && one->st_ino == other->st_ino;
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

void MountPins::keep_stored(NsInode userns, UniqueFd mount) {
    pins_[userns].push_back(std::move(mount));
    ++count_;
}

void MountPins::drop(NsInode userns) {
    auto found = pins_.find(userns);
    if (found == pins_.end()) return;
    count_ -= found->second.size();
    pins_.erase(found);
    drop_from_store(fmt::format("{}{}", kStorePrefix, userns));
}

void drop_from_store(std::string_view name) {
    std::string text = fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name);
    int result = sd_notify(0, text.c_str());
    if (result < 0) log::warning("Cannot tell the service manager: {}", errno_name(-result));
}

}  // namespace nsr::manager
