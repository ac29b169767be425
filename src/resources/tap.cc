// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <algorithm>

#include "base/sys.h"
#include "resources/alternative_name.h"
#include "resources/network.h"

namespace nsr::resources {

namespace {

Status attach(BorrowedFd tun, const std::string& name) {
    struct ifreq request{};
    std::ranges::copy(name, request.ifr_name);
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
    int result = ioctl(tun.get(), TUNSETIFF, &request);
    int code = errno;
    // With IFF_TUN_EXCL the driver says EBUSY for a name that any link has.
    if (result < 0) return fail_errno(code == EBUSY ? EEXIST : code, fmt::format("make tap {}", name));
    return {};
}

Status set_owner(BorrowedFd tun, Uid owner) {
    int result = ioctl(tun.get(), TUNSETOWNER, static_cast<unsigned long>(owner.value));
    int code = errno;
    if (result < 0) return fail_errno(code, "owner of the tap");
    return {};
}

Status set_mac(BorrowedFd tun, const MacAddress& mac) {
    struct ifreq request{};
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::ranges::transform(mac, request.ifr_hwaddr.sa_data, [](uint8_t byte) { return static_cast<char>(byte); });
    int result = ioctl(tun.get(), SIOCSIFHWADDR, &request);
    int code = errno;
    if (result < 0) return fail_errno(code, "address of the tap");
    return {};
}

}  // namespace

Result<UniqueFd> create_tap(const LinkSide& host, const std::string& alternative, Uid owner) {
    if (!is_valid_interface_name(host.name)) return fail(EINVAL, "unfit interface name");
    auto socket = TRY(RouteSocket::open());
    auto tun = TRY(sys::open_at(sys::kCwd, "/dev/net/tun", O_RDWR));
    // Whatever fails below, the tap goes with the descriptor.
    TRY(attach(tun.borrow(), host.name));
    TRY(set_owner(tun.borrow(), owner));
    TRY(set_mac(tun.borrow(), host.mac));
    TRY(set_alternative_name(socket, host.name, alternative, "tap"));
    return tun;
}

}  // namespace nsr::resources
