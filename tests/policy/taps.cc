// SPDX-License-Identifier: LGPL-2.1-or-later
// Tap devices: their owner may attach to them.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cstring>
#include <fstream>

#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr char kName[] = "channels%d";

/// A tap in the network namespace of the task; its name, or nothing.
std::string make_tap(const UniqueFd& device) {
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    std::strncpy(request.ifr_name, kName, IFNAMSIZ - 1);
    return device && ::ioctl(device.get(), TUNSETIFF, &request) == 0 ? request.ifr_name : "";
}

UniqueFd open_tun(const std::string& path = "/dev/net/tun") {
    return UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
}

std::vector<std::string> owner_of_tap(const std::string& name, const char* which) {
    std::ifstream file(fmt::format("/sys/class/net/{}/{}", name, which));
    int64_t id = -1;
    file >> id;
    if (id < 0 || !is_transient(static_cast<uint64_t>(id))) return {};
    return {fmt::format("{}: {} {}", name, which, id)};
}

Attempt from_outside(Stage& stage, unsigned long command, const char* which) {
    const UniqueFd device = open_tun();
    const std::string name = make_tap(device);
    if (name.empty()) return not_here(fmt::format("no tap device ({})", errno_name(errno)));
    const int code = stage.inside([&] { return code_of(::ioctl(device.get(), command, 5UL)); });
    return tried(code, owner_of_tap(name, which));
}

Attempt own(Stage& stage) {
    // Not each host lets every user open its own.
    const std::string path = stage.path("tun");
    if (::mknod(path.c_str(), S_IFCHR, makedev(10, 200)) < 0 || ::chmod(path.c_str(), 0666) < 0)
        return went_wrong("no device");
    return tried(stage.inside([&] {
        if (::unshare(CLONE_NEWNET) < 0) return errno;
        const UniqueFd device = open_tun(path);
        if (make_tap(device).empty()) return lacking(errno);
        if (::ioctl(device.get(), TUNSETOWNER, 5UL) < 0) return errno;
        return code_of(::ioctl(device.get(), TUNSETGROUP, 5UL));
    }));
}

}  // namespace

void add_taps(Table& table) {
    table.channel("TUNSETOWNER of a tap from outside", Where::kOnce,
                  [](Stage& stage) { return from_outside(stage, TUNSETOWNER, "owner"); });
    table.channel("TUNSETGROUP of a tap from outside", Where::kOnce,
                  [](Stage& stage) { return from_outside(stage, TUNSETGROUP, "group"); });
    table.control("TUNSETOWNER and TUNSETGROUP of its own tap", Where::kOnce, own);
}

}  // namespace nsr::channels
